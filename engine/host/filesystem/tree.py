"""Trees of files that are Python objects: the nodes of file systems in memory and of archives."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from farcall.engine.host.filesystem.interface import DirectoryEntry, FileType
from farcall.engine.host.filesystem.paths import PARENT, THIS
from farcall.engine.host.wasi.errno import Errno, WasiError


class Node:
    """A file, directory or symbolic link; what identifies it is its inode.

    Attributes:
        type: which of these it is.
        inode: its number in the file system.
        links: how many names it has.
        access_time: as all times, in nanoseconds since 1970. Reading does not set it.
        modification_time: when its contents were changed last.
        change_time: when contents or status were changed last.
    """

    __slots__ = ("access_time", "change_time", "inode", "links", "modification_time", "type")

    def __init__(self, type: FileType, inode: int, now: int) -> None:
        self.type = type
        self.inode = inode
        self.links = 0
        self.access_time = self.modification_time = self.change_time = now

    @property
    def size(self) -> int:
        """Bytes, as a guest is told."""
        return 0

    def touch(self) -> None:
        """Its contents have been changed."""
        self.modification_time = self.change_time = time.time_ns()


class Content(ABC):
    """The bytes of a file."""

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """How many there are."""

    @abstractmethod
    def read(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Read from an offset into views, one after the other; how many bytes came."""

    def write(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Write views at an offset, one after the other; how many bytes went. Raises WasiError, where none did."""
        raise WasiError(Errno.ROFS)

    def set_size(self, size: int) -> None:
        """Cut, or let grow with zeros. Raises WasiError."""
        raise WasiError(Errno.ROFS)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that there is room for this part, and that it exists. Raises WasiError."""
        raise WasiError(Errno.ROFS)


class FileNode(Node):
    """A regular file.

    Attributes:
        content: its bytes.
        handles: how many are open on it; with them and its names gone, the content goes.
    """

    __slots__ = ("content", "handles")

    def __init__(self, inode: int, now: int, content: Content) -> None:
        super().__init__(FileType.REGULAR_FILE, inode, now)
        self.content = content
        self.handles = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size


class LinkNode(Node):
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, inode: int, now: int, target: bytes) -> None:
        super().__init__(FileType.SYMBOLIC_LINK, inode, now)
        self.target = target

    @property
    def size(self) -> int:
        """Bytes of its target."""
        return len(self.target)


class _Entry(NamedTuple):
    serial: int
    node: Node


class DirectoryNode(Node):
    """A directory.

    Attributes:
        parent: the directory that it is in; the topmost one is its own.
        removed: whether it has been removed, so that nothing can be made in it.
    """

    __slots__ = ("_entries", "_listing", "_next_serial", "parent", "removed")

    def __init__(self, inode: int, now: int, parent: DirectoryNode | None) -> None:
        super().__init__(FileType.DIRECTORY, inode, now)
        self.parent = self if parent is None else parent
        self.removed = False
        self.links = 2  # its name and its `.`
        self._entries: dict[bytes, _Entry] = {}
        self._next_serial = 3  # 1 and 2 are the cookies of `.` and `..`
        self._listing: list[tuple[int, bytes]] = []
        """Names by serial, ascending, to find a cookie's place; some of those that are gone are still in it."""

    def __len__(self) -> int:
        """How many names are in it."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """A directory's has no meaning; Linux's file systems say 4096, too."""
        return 4096

    def get(self, name: bytes) -> Node | None:
        """What has that name."""
        entry = self._entries.get(name)
        return None if entry is None else entry.node

    def nodes(self) -> Iterator[Node]:
        """What is in it."""
        return (entry.node for entry in self._entries.values())

    def set(self, name: bytes, node: Node) -> None:
        """Give a name to a node, also in place of what had it."""
        old = self._entries.get(name)
        if old is None:
            self._listing.append((self._next_serial, name))
            self._entries[name] = _Entry(self._next_serial, node)
            self._next_serial += 1
        else:  # who lists the directory meanwhile gets the name once
            self._entries[name] = _Entry(old.serial, node)
            self._count(old.node, -1)
        self._count(node, 1)
        self.touch()

    def remove(self, name: bytes) -> None:
        """Take a name away."""
        node = self._entries.pop(name).node
        self._count(node, -1)
        if len(self._listing) > 2 * len(self._entries) + 16:
            self._listing = [(entry.serial, name) for name, entry in self._entries.items()]
        self.touch()

    def _count(self, node: Node, names: int) -> None:
        """A name more or less of a node's; a directory has one, and its `..` is a link to the one that it is in."""
        if node.type is FileType.DIRECTORY:
            self.links += names
        else:
            node.links += names

    def listing(self, cookie: int) -> Iterator[DirectoryEntry]:
        """The entries behind a cookie."""
        for own_cookie, name in ((1, THIS), (2, PARENT)):
            if cookie < own_cookie:
                yield DirectoryEntry(own_cookie, self.inode, FileType.DIRECTORY, name)
        listing = self._listing
        position = bisect_right(listing, cookie, key=lambda item: item[0])
        while position < len(listing):
            serial, name = listing[position]
            entry = self._entries.get(name)
            if entry is not None and entry.serial == serial:
                yield DirectoryEntry(serial, entry.node.inode, entry.node.type, name)
            position += 1
