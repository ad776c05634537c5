"""Archives as file systems, whatever their format."""

from __future__ import annotations

from farcall.engine.host.filesystem.archive import ArchiveLimits, ArchiveTree
from farcall.engine.host.filesystem.interface import FileSystem
from farcall.engine.host.filesystem.memory import Budget
from farcall.engine.host.filesystem.tar_archive import decompress, is_compressed, read_tar
from farcall.engine.host.filesystem.zip_archive import MAGICS, read_zip

_DEFAULT_LIMITS = ArchiveLimits()


def open_archive(
    data: bytes, *, limits: ArchiveLimits = _DEFAULT_LIMITS, budget: Budget | None = None
) -> FileSystem:
    """A tar or zip archive as a read-only file system.

    Files that the archive has as they are stay in it. Deflated files of a zip archive are decompressed when they are
    read; a compressed tar archive is as a whole, at once, because there is no other way to know what is in it.

    Parameters:
        data: the archive.
        limits: what it may be.
        budget: what decompressed bytes are taken from, and some hundred bytes for each entry.

    Raises:
        MountError: it is neither, damaged, or one that is refused; its text says what is wrong with which entry.
        ExhaustionError: the budget has not enough left.
    """
    tree = ArchiveTree(limits, budget)
    try:
        if data.startswith(MAGICS):
            read_zip(tree, data)
        else:
            read_tar(tree, _decompressed(tree, data) if is_compressed(data) else data)
    except BaseException:
        tree.close()
        raise
    return tree


def _decompressed(tree: ArchiveTree, data: bytes) -> bytes:
    """The archive that is in a compressed one, of which the tree knows."""
    archive = decompress(data, tree.limits.size)
    tree.hold(len(archive))
    return archive
