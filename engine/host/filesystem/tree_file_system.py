"""File systems whose files are Python objects, and their handles; `memory.py` and `archive.py` say what is in them."""

from __future__ import annotations

import itertools
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence

from farcall.engine.host.filesystem.directory import Directory, check_flags
from farcall.engine.host.filesystem.interface import (
    Advice,
    DirectoryEntry,
    FileFlags,
    FileStatus,
    FileSystem,
    FileType,
    Handle,
    OpenFlags,
    TimeChange,
    Whence,
)
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.filesystem.resolution import Place, walk
from farcall.engine.host.filesystem.tree import DirectoryNode, FileNode, LinkNode, Node
from farcall.engine.host.wasi.errno import Errno, WasiError

LARGEST_FILE = (1 << 63) - 1
"""Bytes that a file can have, as on Linux."""

_device_numbers = itertools.count(0x0FA2_0000)


class TreeFileSystem(FileSystem):
    """A file system whose files are Python objects.

    Attributes:
        device: its number, which no other tree has.
        lock: held by whoever looks at nodes or changes them.
        read_only: whether nothing in it ever changes.
        root: its topmost directory.
    """

    read_only = True

    def __init__(self) -> None:
        self.device = next(_device_numbers)
        self.lock = threading.RLock()
        self._inodes = itertools.count(1)
        self.root = DirectoryNode(self.new_inode(), time.time_ns(), None)

    def new_inode(self) -> int:
        """A number that no file of this file system has had."""
        return next(self._inodes)

    def open_root(self, handles: OpenHandles, *, read_only: bool = False) -> Handle:
        """A handle on its topmost directory, as the interface has it."""
        return TreeDirectory(self, self.root, handles, read_only or self.read_only)

    def status(self, node: Node) -> FileStatus:
        """What is known of a file."""
        return FileStatus(
            self.device,
            node.inode,
            node.type,
            node.links,
            node.size,
            node.access_time,
            node.modification_time,
            node.change_time,
        )

    # What those have to say that can be written to.

    @abstractmethod
    def take_name(self) -> None:
        """A name is about to be given to something. Raises WasiError(NOSPC)."""

    @abstractmethod
    def give_name(self) -> None:
        """A name has been taken away."""

    @abstractmethod
    def new_file(self) -> FileNode:
        """An empty file."""

    @abstractmethod
    def new_link(self, target: bytes) -> LinkNode:
        """A symbolic link. Raises WasiError(NOSPC)."""

    @abstractmethod
    def release(self, node: Node) -> None:
        """A node has neither names nor handles any more."""

    # What a walk needs.

    def enter(self, directory: DirectoryNode, name: bytes) -> DirectoryNode | bytes:
        """The directory of that name, or the target of the symbolic link."""
        node = directory.get(name)
        if isinstance(node, DirectoryNode):
            return node
        if isinstance(node, LinkNode):
            return node.target
        raise WasiError(Errno.NOENT if node is None else Errno.NOTDIR)

    def link_target(self, directory: DirectoryNode, name: bytes) -> bytes | None:
        """The target of the symbolic link of that name; None where there is none."""
        node = directory.get(name)
        return node.target if isinstance(node, LinkNode) else None

    def leave(self, directory: DirectoryNode) -> None:
        """Nodes are held by who has them."""


class _TreeHandle(Handle):
    """An open node."""

    def __init__(self, system: TreeFileSystem, node: Node, handles: OpenHandles, read_only: bool) -> None:
        self.system = system
        self.handles = handles
        self.read_only = read_only
        self._node = node
        handles.add(self)

    def close(self) -> None:
        """Release it."""
        self.handles.discard(self)

    def status(self) -> FileStatus:
        """What is known of it."""
        with self.system.lock:
            return self.system.status(self._node)

    def set_times(self, access: int | TimeChange, modification: int | TimeChange) -> None:
        """Set its times, in nanoseconds since 1970."""
        if self.read_only:
            raise WasiError(Errno.ROFS)
        with self.system.lock:
            _set_times(self._node, access, modification)

    def sync(self) -> None:
        """Nothing lasts longer than it is in memory."""

    def sync_data(self) -> None:
        """Nothing lasts longer than it is in memory."""


def _set_times(node: Node, access: int | TimeChange, modification: int | TimeChange) -> None:
    now = time.time_ns()
    if access is not TimeChange.KEEP:
        node.access_time = now if isinstance(access, TimeChange) else access
    if modification is not TimeChange.KEEP:
        node.modification_time = now if isinstance(modification, TimeChange) else modification
    if not access is modification is TimeChange.KEEP:
        node.change_time = now


class TreeFile(_TreeHandle):
    """An open file.

    Reading and writing is what guests do most: nothing here is done twice, and bytes are copied once.
    """

    type = FileType.REGULAR_FILE

    def __init__(
        self,
        system: TreeFileSystem,
        node: FileNode,
        handles: OpenHandles,
        flags: FileFlags,
        *,
        read: bool,
        write: bool,
        read_only: bool,
    ) -> None:
        self.flags = flags
        self._appends = FileFlags.APPEND in flags
        self._reads, self._writes = read, write
        self._position = 0  # guarded by the file system's lock, as what follows
        self._closed = False
        self._file = node
        self._lock = system.lock
        node.handles += 1
        super().__init__(system, node, handles, read_only)

    def close(self) -> None:
        """Release it, and with it a file without names."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._reads = self._writes = False
            self._file.handles -= 1
            if not self._file.handles and not self._file.links:
                self.system.release(self._file)
        super().close()

    def set_flags(self, flags: FileFlags) -> None:
        """Change `APPEND` and `NONBLOCK`; the latter means nothing to a file."""
        check_flags(self.flags, flags)
        self.flags = flags
        self._appends = FileFlags.APPEND in flags

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position."""
        if not self._reads:
            raise WasiError(Errno.BADF)
        with self._lock:
            count = self._file.content.read(self._position, buffers)
            self._position += count
        return count

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Read at an offset."""
        if offset > LARGEST_FILE:
            raise WasiError(Errno.INVAL)
        if not self._reads:
            raise WasiError(Errno.BADF)
        with self._lock:
            return self._file.content.read(offset, buffers)

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write at the position, or at the end."""
        if not self._writes:
            raise WasiError(Errno.BADF)
        with self._lock:
            node = self._file
            position = node.content.size if self._appends else self._position
            count = node.content.write(position, buffers)
            if count:
                self._position = position + count
                node.modification_time = node.change_time = time.time_ns()
        return count

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Write at an offset, or at the end."""
        if offset > LARGEST_FILE:
            raise WasiError(Errno.INVAL)
        if not self._writes:
            raise WasiError(Errno.BADF)
        with self._lock:
            node = self._file
            count = node.content.write(node.content.size if self._appends else offset, buffers)
            if count:
                node.modification_time = node.change_time = time.time_ns()
        return count

    def seek(self, offset: int, whence: Whence) -> int:
        """Move the position."""
        with self._lock:
            if whence == Whence.CURRENT:
                offset += self._position
            elif whence == Whence.END:
                offset += self._file.content.size
            if not 0 <= offset <= LARGEST_FILE:
                raise WasiError(Errno.INVAL, f"a position of {offset}")
            self._position = offset
        return offset

    def set_size(self, size: int) -> None:
        """Cut the file, or let it grow with zeros."""
        if not self._writes or size > LARGEST_FILE:
            raise WasiError(Errno.INVAL)
        with self._lock:
            self._file.content.set_size(size)
            self._file.touch()

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that this part of the file exists and has room."""
        if not length or offset > LARGEST_FILE or length > LARGEST_FILE:
            raise WasiError(Errno.INVAL)
        if not self._writes:
            raise WasiError(Errno.BADF)
        if offset + length > LARGEST_FILE:
            raise WasiError(Errno.FBIG)
        with self._lock:
            self._file.content.allocate(offset, length)
            self._file.touch()

    def advise(self, offset: int, length: int, advice: Advice) -> None:
        """Take note of nothing: it is all in memory."""


class TreeDirectory(_TreeHandle, Directory[DirectoryNode]):
    """An open directory."""

    def __init__(
        self, system: TreeFileSystem, node: DirectoryNode, handles: OpenHandles, read_only: bool
    ) -> None:
        self._directory = node
        self.in_use = system.lock
        super().__init__(system, node, handles, read_only)

    def _locate(self, path: bytes, *, follow: bool) -> Place[DirectoryNode]:
        return walk(self.system, self._directory, path, follow=follow)

    def _shares_file_system(self, other: Handle) -> bool:
        return isinstance(other, TreeDirectory) and other.system is self.system

    def read_directory(self, cookie: int) -> Iterator[DirectoryEntry]:
        """The entries behind a cookie."""
        return self._directory.listing(cookie)

    @staticmethod
    def _existing(directory: DirectoryNode, name: bytes) -> Node:
        node = directory.get(name)
        if node is None:
            raise WasiError(Errno.NOENT)
        return node

    def _add(self, directory: DirectoryNode, name: bytes, node: Node) -> None:
        """Give a node a name that nothing has."""
        if directory.removed:
            raise WasiError(Errno.NOENT)
        if directory.get(name) is not None:
            raise WasiError(Errno.EXIST)
        self.system.take_name()
        directory.set(name, node)

    def _forget(self, node: Node) -> None:
        """A name of a node's is gone: release what nobody can get at any more."""
        self.system.give_name()
        if isinstance(node, DirectoryNode):
            node.removed = True
            node.links = 0
        else:
            node.change_time = time.time_ns()
            if not node.links and not (isinstance(node, FileNode) and node.handles):
                self.system.release(node)

    def _status_at(self, directory: DirectoryNode, name: bytes) -> FileStatus | None:
        node = directory if name == b"." else directory.get(name)
        return None if node is None else self.system.status(node)

    def _set_times_at(
        self,
        directory: DirectoryNode,
        name: bytes,
        access: int | TimeChange,
        modification: int | TimeChange,
    ) -> None:
        _set_times(directory if name == b"." else self._existing(directory, name), access, modification)

    def _open_file(
        self,
        directory: DirectoryNode,
        name: bytes,
        open_flags: OpenFlags,
        file_flags: FileFlags,
        *,
        read: bool,
        write: bool,
    ) -> Handle:
        node = directory.get(name)
        if node is None:
            node = self.system.new_file()
            self._add(directory, name, node)
        if not isinstance(node, FileNode):
            raise WasiError(Errno.NXIO)
        if OpenFlags.TRUNCATE in open_flags:
            node.content.set_size(0)
            node.touch()
        return TreeFile(
            self.system,
            node,
            self.handles,
            file_flags,
            read=read or not write,
            write=write,
            read_only=self.read_only,
        )

    def _open_directory(self, directory: DirectoryNode, name: bytes) -> Handle:
        node = directory if name == b"." else directory.get(name)
        if not isinstance(node, DirectoryNode):
            raise WasiError(Errno.NOTDIR)
        return TreeDirectory(self.system, node, self.handles, self.read_only)

    def _create_directory(self, directory: DirectoryNode, name: bytes) -> None:
        self._add(directory, name, DirectoryNode(self.system.new_inode(), time.time_ns(), directory))

    def _remove_directory(self, directory: DirectoryNode, name: bytes) -> None:
        node = self._existing(directory, name)
        if not isinstance(node, DirectoryNode):
            raise WasiError(Errno.NOTDIR)
        if len(node):
            raise WasiError(Errno.NOTEMPTY)
        directory.remove(name)
        self._forget(node)

    def _unlink(self, directory: DirectoryNode, name: bytes) -> None:
        node = self._existing(directory, name)
        if isinstance(node, DirectoryNode):
            raise WasiError(Errno.ISDIR)
        directory.remove(name)
        self._forget(node)

    def _rename(
        self, directory: DirectoryNode, name: bytes, new_directory: DirectoryNode, new_name: bytes
    ) -> None:
        node = self._existing(directory, name)
        replaced = new_directory.get(new_name)
        if _contains(node, new_directory):
            raise WasiError(Errno.INVAL, "a directory cannot be moved into itself")
        if replaced is not None and _contains(replaced, directory):
            raise WasiError(Errno.NOTEMPTY)
        if node is replaced:
            return
        if replaced is None:
            if new_directory.removed:
                raise WasiError(Errno.NOENT)
        elif isinstance(node, DirectoryNode):
            if not isinstance(replaced, DirectoryNode):
                raise WasiError(Errno.NOTDIR)
            if len(replaced):
                raise WasiError(Errno.NOTEMPTY)
        elif isinstance(replaced, DirectoryNode):
            raise WasiError(Errno.ISDIR)
        new_directory.set(new_name, node)
        directory.remove(name)
        if isinstance(node, DirectoryNode):
            node.parent = new_directory
        node.change_time = time.time_ns()
        if replaced is not None:
            self._forget(replaced)

    def _link(
        self, directory: DirectoryNode, name: bytes, new_directory: DirectoryNode, new_name: bytes
    ) -> None:
        node = self._existing(directory, name)
        self._add(new_directory, new_name, node)
        node.change_time = time.time_ns()

    def _symlink(self, target: bytes, directory: DirectoryNode, name: bytes) -> None:
        node = self.system.new_link(target)
        try:
            self._add(directory, name, node)
        except WasiError:
            self.system.release(node)
            raise

    def _readlink(self, directory: DirectoryNode, name: bytes) -> bytes:
        node = self._existing(directory, name)
        if not isinstance(node, LinkNode):
            raise WasiError(Errno.INVAL)
        return node.target


def _contains(node: Node, directory: DirectoryNode) -> bool:
    """Whether a directory is the node or below it."""
    while directory is not node:
        if directory.parent is directory:
            return False
        directory = directory.parent
    return True
