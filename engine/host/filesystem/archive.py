"""Archives as read-only file systems: what tar and zip have in common, and the limits that hostile ones meet.

An archive becomes a tree of Python objects. Its names are never paths of the host's, and symbolic links in it are
resolved in the tree, as in any other file system of ours. A bad archive is refused when it is mounted; what needs
decompressing is decompressed when it is read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farcall.engine.errors import ExhaustionError, MountError
from farcall.engine.host.filesystem.interface import FileType
from farcall.engine.host.filesystem.memory import Budget
from farcall.engine.host.filesystem.paths import DEPTH_LIMIT, NAME_LIMIT, PATH_LIMIT
from farcall.engine.host.filesystem.tree import Content, DirectoryNode, FileNode, LinkNode, Node
from farcall.engine.host.filesystem.tree_file_system import TreeFileSystem
from farcall.engine.host.wasi.errno import Errno, WasiError

_ENTRY_OVERHEAD = 768
"""Bytes that an entry takes as a Python object, with its name."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may be.

    Attributes:
        entries: files, directories and links, those included that are only implied by names.
        file_size: bytes of a file, decompressed.
        size: bytes of all files together, decompressed.
        held_size: bytes that are kept decompressed at a time; what was not read for the longest time goes first.
    """

    entries: int = 100_000
    file_size: int = 256 << 20
    size: int = 1 << 30
    held_size: int = 256 << 20


class PlainContent(Content):
    """Bytes that lie in the archive as they are."""

    __slots__ = ("_data",)

    def __init__(self, data: memoryview) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._data)

    def read(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Read from an offset into views."""
        return _copy(self._data, offset, buffers)


def _copy(data: memoryview, offset: int, buffers: Sequence[memoryview]) -> int:
    start = offset
    for buffer in buffers:
        part = data[offset : offset + len(buffer)]
        if not part:
            if buffer:
                break
            continue
        buffer[: len(part)] = part
        offset += len(part)
    return offset - start


class DecompressedFiles:
    """The files of an archive that are decompressed at the moment."""

    def __init__(self, limit: int, budget: Budget | None) -> None:
        self._limit = limit
        self._budget = budget
        self._lock = threading.Lock()
        self._held: OrderedDict[CompressedContent, memoryview] = (
            OrderedDict()
        )  # guarded by _lock, as what follows
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return self._size

    def get(self, content: CompressedContent, decompress: Callable[[], bytes]) -> memoryview:
        """A file's bytes. Raises WasiError: `IO` where they are damaged, `NOMEM` where there is no room for them."""
        with self._lock:
            data = self._held.get(content)
            if data is not None:
                self._held.move_to_end(content)
                return data
            self._make_room(content.size)
            try:
                data = memoryview(decompress())
            except BaseException:
                self._give(content.size)
                raise
            self._held[content] = data
            self._size += len(data)
            return data

    def _make_room(self, size: int) -> None:
        """Take the bytes from the budget, and let others go for them. Raises WasiError(NOMEM)."""
        while self._held and self._size + size > self._limit:
            self._drop()
        while self._budget is not None:
            try:
                return self._budget.take(size)
            except ExhaustionError as error:
                if not self._held:
                    raise WasiError(Errno.NOMEM, str(error)) from error
                self._drop()
        return None

    def _give(self, size: int) -> None:
        if self._budget is not None:
            self._budget.give(size)

    def _drop(self) -> None:
        """Let the file go that was not read for the longest time."""
        _, data = self._held.popitem(last=False)
        self._size -= len(data)
        self._give(len(data))

    def close(self) -> None:
        """Let all go."""
        with self._lock:
            while self._held:
                self._drop()


class CompressedContent(Content):
    """Bytes that are decompressed when they are read."""

    __slots__ = ("_decompress", "_files", "_size")

    def __init__(self, files: DecompressedFiles, size: int, decompress: Callable[[], bytes]) -> None:
        """Make one.

        Parameters:
            size: bytes that decompressing gives.
            decompress: gives them, or raises WasiError(IO).
        """
        self._files = files
        self._size = size
        self._decompress = decompress

    @property
    def size(self) -> int:
        """How many there are."""
        return self._size

    def read(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Read from an offset into views."""
        if offset >= self._size:
            return 0
        return _copy(self._files.get(self, self._decompress), offset, buffers)


class ArchiveTree(TreeFileSystem):
    """The tree that an archive's entries are put into, read-only to guests.

    Attributes:
        limits: what the archive may be.
        decompressed: the files that are decompressed at the moment.
    """

    def __init__(self, limits: ArchiveLimits, budget: Budget | None) -> None:
        super().__init__()
        self.limits = limits
        self.decompressed = DecompressedFiles(limits.held_size, budget)
        self._budget = budget
        self._held = 0  # taken from the budget for longer than a file is decompressed
        self._entries = 0
        self._size = 0

    def close(self) -> None:
        """Let go of what is decompressed."""
        self.decompressed.close()
        if self._budget is not None:
            self._budget.give(self._held)
        self._held, self._budget = 0, None

    def hold(self, size: int) -> None:
        """Take bytes from the budget until the end. Raises ExhaustionError."""
        if self._budget is not None:
            self._budget.take(size)
            self._held += size

    def add_directory(self, name: bytes, time: int) -> None:
        """Put a directory into the tree; one that is there already is that one.

        Parameters:
            name: where, as the archive has it.
            time: when it was changed last, in nanoseconds since 1970.

        Raises:
            MountError: it cannot have that name, or there are too many entries.
        """
        directory = self.root
        for component in self._components(name):
            directory = self._enter(directory, component, name)
        _set_time(directory, time)

    def add_file(self, name: bytes, time: int, content: Content, *, replace: bool) -> None:
        """Put a file into the tree.

        Parameters:
            replace: whether it may take the place of one with the same name.

        Raises:
            MountError: as for `add_directory`; or it is too large.
        """
        if content.size > self.limits.file_size:
            raise _refusal(name, f"has {content.size} bytes; the limit is {self.limits.file_size}")
        self._size += content.size
        if self._size > self.limits.size:
            raise MountError(
                f"the archive has more than {self.limits.size} bytes in files, which is the limit"
            )
        self._add(name, time, FileNode(self.new_inode(), time, content), replace)

    def add_link(self, name: bytes, time: int, target: bytes, *, replace: bool) -> None:
        """Put a symbolic link into the tree, wherever it leads. Raises MountError."""
        if not target or b"\0" in target or len(target) > PATH_LIMIT:
            raise _refusal(name, "is a symbolic link with a target that cannot be")
        self._add(name, time, LinkNode(self.new_inode(), time, target), replace)

    def add_special(self, name: bytes, time: int, kind: FileType, *, replace: bool) -> None:
        """Put something into the tree that cannot be opened: a device, say. Raises MountError."""
        self._add(name, time, Node(kind, self.new_inode(), time), replace)

    def add_hard_link(self, name: bytes, original: bytes, *, replace: bool) -> None:
        """Give a file that is in the tree another name. Raises MountError: there is no such file, or as above."""
        node: Node | None = self.root
        for component in self._components(original):
            node = node.get(component) if isinstance(node, DirectoryNode) else None
        if node is None or isinstance(node, DirectoryNode):
            raise _refusal(name, f"is a link to {_shown(original)}, which is no file that comes before it")
        self._add(name, node.modification_time, node, replace)

    def _add(self, name: bytes, time: int, node: Node, replace: bool) -> None:
        *above, last = self._components(name) or [b""]
        if not last:
            raise _refusal(name, "has no name")
        directory = self.root
        for component in above:
            directory = self._enter(directory, component, name)
        there = directory.get(last)
        if isinstance(there, DirectoryNode):
            raise _refusal(name, "is there as a directory already")
        if there is not None and not replace:
            raise _refusal(name, "is there twice")
        self._count()
        directory.set(last, node)

    def _enter(self, directory: DirectoryNode, component: bytes, name: bytes) -> DirectoryNode:
        """The directory of that name, which is made if it is missing. Raises MountError."""
        node = directory.get(component)
        if node is None:
            self._count()
            node = DirectoryNode(self.new_inode(), directory.modification_time, directory)
            directory.set(component, node)
        if not isinstance(node, DirectoryNode):
            raise _refusal(name, f"is in {_shown(component)}, which is no directory")
        return node

    def _count(self) -> None:
        """One entry more. Raises MountError, ExhaustionError."""
        self.hold(_ENTRY_OVERHEAD)
        self._entries += 1
        if self._entries > self.limits.entries:
            raise MountError(f"the archive has more than {self.limits.entries} entries, which is the limit")

    @staticmethod
    def _components(name: bytes) -> list[bytes]:
        """The components of an entry's name, without those that are `.`. Raises MountError."""
        if name.startswith(b"/"):
            raise _refusal(name, "has an absolute name; names in an archive have to be relative")
        if len(name) > PATH_LIMIT:
            raise _refusal(name, f"has a name of {len(name)} bytes; the limit is {PATH_LIMIT}")
        if b"\0" in name:
            raise _refusal(name, "has a NUL in its name")
        result = [component for component in name.split(b"/") if component not in (b"", b".")]
        if b".." in result:
            raise _refusal(name, "has `..` in its name")
        if len(result) > DEPTH_LIMIT:
            raise _refusal(name, f"is more than {DEPTH_LIMIT} directories deep")
        if any(len(component) > NAME_LIMIT for component in result):
            raise _refusal(name, f"has a name with more than {NAME_LIMIT} bytes between slashes")
        return result

    # Nothing is made or removed by guests.

    def take_name(self) -> None:
        """Nothing gets a name. Raises WasiError(ROFS)."""
        raise WasiError(Errno.ROFS)

    def give_name(self) -> None:
        """Nothing loses its name. Raises WasiError(ROFS)."""
        raise WasiError(Errno.ROFS)

    def new_file(self) -> FileNode:
        """Nothing is made. Raises WasiError(ROFS)."""
        raise WasiError(Errno.ROFS)

    def new_link(self, target: bytes) -> LinkNode:
        """Nothing is made. Raises WasiError(ROFS)."""
        raise WasiError(Errno.ROFS)

    def release(self, node: Node) -> None:
        """Everything stays."""


def _set_time(node: Node, time: int) -> None:
    node.access_time = node.modification_time = node.change_time = time


def _shown(name: bytes) -> str:
    text = name[:200].decode(errors="backslashreplace")
    return repr(text) + ("..." if len(name) > 200 else "")


def _refusal(name: bytes, reason: str) -> MountError:
    return MountError(f"the archive is refused: its entry {_shown(name)} {reason}")
