"""Resolving paths below a directory of the host's, by the kernel where it can, and by our own walk where it cannot."""

from __future__ import annotations

import errno
import os

from farcall.engine.host.filesystem.host_file import host_errors
from farcall.engine.host.filesystem.paths import LINK_LIMIT, NAME_LIMIT, PARENT, PATH_LIMIT, THIS
from farcall.engine.host.filesystem.resolution import Place, walk
from farcall.engine.host.filesystem.system_calls import open_beneath
from farcall.engine.host.wasi.errno import Errno, WasiError, errno_of_host

_DIRECTORY = os.O_PATH | os.O_DIRECTORY

_ATTEMPTS = 8
"""How often the kernel is asked again after something was renamed while it resolved a path with `..`."""


class HostTree:
    """What a walk needs of directories of the host's, which are descriptors opened with `O_PATH`.

    Attributes:
        root: the descriptor of the directory that is not left.
    """

    def __init__(self, root: int) -> None:
        self.root = root

    @host_errors
    def enter(self, directory: int, name: bytes) -> int | bytes:
        """The directory of that name, or the target of the symbolic link."""
        try:
            return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        except NotADirectoryError:
            target = self.link_target(directory, name)
            if target is None:
                raise
            return target

    @host_errors
    def link_target(self, directory: int, name: bytes) -> bytes | None:
        """The target of the symbolic link of that name; None where there is none."""
        try:
            return os.readlink(name, dir_fd=directory)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise

    def leave(self, directory: int) -> None:
        """Close a descriptor."""
        os.close(directory)


def locate(tree: HostTree, path: bytes, *, follow: bool, ask_kernel: bool) -> Place[int]:
    """Where a path leads.

    Parameters:
        ask_kernel: whether the kernel is to resolve it (`kernel_has_openat2`).

    Raises:
        WasiError: as `walk`.
    """
    if ask_kernel:
        for _ in range(_ATTEMPTS):
            try:
                return _locate_by_kernel(tree, path, follow)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise WasiError(Errno.PERM, "a path that leads out of its directory") from error
                raise WasiError(errno_of_host(error), str(error)) from error
    return walk(tree, tree.root, path, follow=follow)


def _locate_by_kernel(tree: HostTree, path: bytes, follow: bool) -> Place[int]:
    """Have the kernel resolve all but the last component. Raises OSError, WasiError."""
    names_directory = path.endswith(b"/")
    for _ in range(LINK_LIMIT + 1):
        if len(path) > PATH_LIMIT:
            raise WasiError(Errno.NAMETOOLONG, f"a path of {len(path)} bytes, when links are followed")
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
        if name in (THIS, PARENT):
            return Place(tree, open_beneath(tree.root, path, _DIRECTORY), name, names_directory, held=True)
        directory = open_beneath(tree.root, parent, _DIRECTORY) if parent else tree.root
        place = Place(tree, directory, name, names_directory, held=bool(parent))
        try:
            if len(name) > NAME_LIMIT:
                raise WasiError(Errno.NAMETOOLONG, f"a name of {len(name)} bytes")
            target = tree.link_target(directory, name) if follow or names_directory else None
        except BaseException:
            place.close()
            raise
        if target is None:
            return place
        place.close()
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM, "a symbolic link to an absolute path")
        if not target:
            raise WasiError(Errno.NOENT, "an empty symbolic link")
        names_directory = names_directory or target.endswith(b"/")
        path = parent + b"/" + target if parent else target
    raise WasiError(Errno.LOOP, f"more than {LINK_LIMIT} symbolic links")
