"""File systems in memory: empty at first, with a limit on what they hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from farcall.engine.errors import ExhaustionError
from farcall.engine.host.filesystem.tree import Content, FileNode, LinkNode, Node
from farcall.engine.host.filesystem.tree_file_system import LARGEST_FILE, TreeFileSystem
from farcall.engine.host.wasi.errno import Errno, WasiError

DEFAULT_SIZE_LIMIT = 64 << 20
"""Bytes that a file system in memory may hold, unless told otherwise."""

DEFAULT_NAME_LIMIT = 65536
"""Names (of files, directories and links) that it may have, unless told otherwise."""

_CHUNK = 65536
"""Bytes of a file that lie together. Growing a file moves no more than that."""

_CHUNK_OVERHEAD, _NAME_OVERHEAD = 256, 1024
"""Bytes that a chunk takes beside its own, and that a name takes with what it is the name of."""

_LEAST_OVERHEAD = 1 << 16
"""Bytes that names and chunks may take in the smallest file system."""

_BUDGET_STEP = 1 << 20
"""Bytes that are taken from a budget at a time."""

_ZEROS = memoryview(bytes(_CHUNK))


class Budget(Protocol):
    """What the memory is taken from, beside the file system's own limit: a store's `MemoryBudget`, for instance."""

    def take(self, size: int) -> None:
        """Take bytes. Raises ExhaustionError."""

    def give(self, size: int) -> None:
        """Give back what was taken."""


class Quota:
    """The bytes that a file system holds, and may hold. Guarded by the file system's lock.

    Beside the bytes of files, which guests count, there is what the names and chunks themselves take: it is limited,
    too, lest a guest fill the memory with files of a byte, or a file with holes. All of it is taken from the budget.

    Attributes:
        limit: how many bytes of files it may hold.
        used: how many it holds.
        overhead: bytes that are held besides.
    """

    def __init__(self, limit: int, budget: Budget | None, overhead_limit: int | None = None) -> None:
        self.limit = limit
        self.used = 0
        self.overhead = 0
        self._overhead_limit = limit + _LEAST_OVERHEAD if overhead_limit is None else overhead_limit
        self._budget = budget
        self._taken = 0  # from the budget, in steps

    def take(self, wanted: int) -> int:
        """Take bytes, or as many of them as are left; how many that is."""
        granted = self._reserve(min(wanted, self.limit - self.used))
        self.used += granted
        return granted

    def _reserve(self, wanted: int) -> int:
        """See that the budget has as many more; how many of them it has."""
        held = self.used + self.overhead
        if self._budget is None or held + wanted <= self._taken:
            return wanted
        size = -(-(held + wanted - self._taken) // _BUDGET_STEP) * _BUDGET_STEP
        try:
            self._budget.take(size)
        except ExhaustionError:
            return max(self._taken - held, 0)
        self._taken += size
        return wanted

    def take_all(self, wanted: int) -> None:
        """Take bytes. Raises WasiError(NOSPC) where they are not left; none is taken then."""
        granted = self.take(wanted)
        if granted < wanted:
            self.give(granted)
            raise WasiError(
                Errno.NOSPC, f"{self.used} of {self.limit} bytes are in use, {wanted} more are wanted"
            )

    def take_overhead(self, size: int) -> None:
        """Take bytes that are no file's. Raises WasiError(NOSPC)."""
        if self.overhead + size > self._overhead_limit or self._reserve(size) < size:
            raise WasiError(Errno.NOSPC, f"names and holes take {self.overhead} bytes already")
        self.overhead += size

    def give(self, size: int, *, overhead: int = 0) -> None:
        """Give back bytes."""
        self.used -= size
        self.overhead -= overhead
        spare = self._taken - self.used - self.overhead
        if self._budget is not None and spare >= 2 * _BUDGET_STEP:
            size = spare // _BUDGET_STEP * _BUDGET_STEP
            self._taken -= size
            self._budget.give(size)

    def close(self) -> None:
        """Give all back to the budget."""
        if self._budget is not None and self._taken:
            self._budget.give(self._taken)
            self._taken = 0
        self._budget = None


class MemoryContent(Content):
    """A file's bytes, in chunks; what was never written is zeros, and takes no room.

    A chunk that is shorter than others ends in zeros, too. The quota has the chunks' lengths.
    """

    __slots__ = ("_chunks", "_quota", "_size")

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._chunks: dict[int, bytearray] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    def read(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Read from an offset into views."""
        if len(buffers) == 1:  # most often one view is to be filled from one chunk
            start = offset % _CHUNK
            end = start + len(buffers[0])
            chunk = self._chunks.get(offset // _CHUNK)
            if chunk is not None and end <= len(chunk):
                buffers[0][:] = memoryview(chunk)[start:end]
                return end - start
        return self._read_parts(offset, buffers)

    def _read_parts(self, offset: int, buffers: Sequence[memoryview]) -> int:
        left = total = min(max(self._size - offset, 0), sum(map(len, buffers)))
        for buffer in buffers:
            size = len(buffer)
            if size > left:
                size = left
                buffer = buffer[:size]  # noqa: PLW2901 - what is read into
            done = 0
            while done < size:
                number, start = divmod(offset + done, _CHUNK)
                count = min(_CHUNK - start, size - done)
                chunk = self._chunks.get(number, b"")
                held = min(max(len(chunk) - start, 0), count)
                if held:
                    buffer[done : done + held] = memoryview(chunk)[start : start + held]
                if held < count:
                    buffer[done + held : done + count] = _ZEROS[: count - held]
                done += count
            offset += size
            left -= size
            if not left:
                break
        return total

    def write(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Write views at an offset; fewer bytes than they have where there is no room for all."""
        if len(buffers) == 1:  # most often one view replaces a part of one chunk
            data = buffers[0]
            start = offset % _CHUNK
            end = start + len(data)
            chunk = self._chunks.get(offset // _CHUNK)
            if chunk is not None and end <= len(chunk):
                memoryview(chunk)[start:end] = data
                return end - start
        return self._write_parts(offset, buffers)

    def _write_parts(self, offset: int, buffers: Sequence[memoryview]) -> int:
        total = 0
        for buffer in buffers:
            size = len(buffer)
            done = 0
            while done < size:
                position = offset + total
                number, start = divmod(position, _CHUNK)
                count = min(_CHUNK - start, size - done, LARGEST_FILE - position)
                count = self._write_chunk(number, start, buffer[done : done + count])
                if not count:
                    if not total:
                        raise WasiError(Errno.FBIG if position >= LARGEST_FILE else Errno.NOSPC)
                    return total
                done += count
                total += count
                self._size = max(self._size, position + count)
        return total

    def _write_chunk(self, number: int, start: int, data: memoryview) -> int:
        """Write a part of a chunk; how many bytes went, 0 if there is no room."""
        if not data:
            return 0
        chunk = self._chunks.get(number)
        held = 0 if chunk is None else len(chunk)
        overhead = _CHUNK_OVERHEAD if chunk is None else 0
        growth = start + len(data) - held
        if growth > 0:
            try:
                self._quota.take_overhead(overhead)
            except WasiError:
                return 0
            granted = self._quota.take(growth)
            if granted < growth:
                data = data[: max(held + granted - start, 0)]
                if not data:
                    self._quota.give(granted, overhead=overhead)
                    return 0
        if chunk is None:
            chunk = self._chunks[number] = bytearray()
        if start > held:
            chunk += _ZEROS[: start - held]
        replaced = min(len(chunk) - start, len(data))
        if replaced:
            memoryview(chunk)[start : start + replaced] = data[:replaced]
        if replaced < len(data):
            chunk += data[replaced:]
        return len(data)

    def set_size(self, size: int) -> None:
        """Cut, or let grow with zeros, which take no room."""
        if size <= self._size:
            self._cut(size)
        self._size = size

    def _cut(self, size: int) -> None:
        """Let all chunks go that lie behind a size."""
        last, rest = divmod(size, _CHUNK)
        if rest:
            chunk = self._chunks.get(last)
            if chunk is not None:
                self._quota.give(max(len(chunk) - rest, 0))
                del chunk[rest:]
            last += 1
        for number in [number for number in self._chunks if number >= last]:
            self._quota.give(len(self._chunks.pop(number)), overhead=_CHUNK_OVERHEAD)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that there is room for this part, and that it exists."""
        if length > self._quota.limit:
            raise WasiError(Errno.NOSPC, f"{length} bytes in a file system of {self._quota.limit}")
        end = offset + length
        try:
            for number in range(offset // _CHUNK, -(-end // _CHUNK)):
                self._fill_chunk(number, min(end - number * _CHUNK, _CHUNK))
        except WasiError:
            self._cut(self._size)
            raise
        self._size = max(self._size, end)

    def _fill_chunk(self, number: int, size: int) -> None:
        """Make sure that a chunk has as many bytes. Raises WasiError(NOSPC)."""
        chunk = self._chunks.get(number)
        if chunk is None:
            self._quota.take_overhead(_CHUNK_OVERHEAD)
            chunk = self._chunks[number] = bytearray()
        if len(chunk) < size:
            self._quota.take_all(size - len(chunk))
            chunk += _ZEROS[: size - len(chunk)]


class MemoryFileSystem(TreeFileSystem):
    """A file system in memory, empty at first.

    What it holds goes with it, and counts: the contents of files as far as they were written, the targets of symbolic
    links, and names. Every name takes a kilobyte of the budget besides. A file that is open counts until it is closed,
    even if it has no name any more.
    """

    read_only = False

    def __init__(
        self,
        *,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        name_limit: int = DEFAULT_NAME_LIMIT,
        budget: Budget | None = None,
    ) -> None:
        """Make one.

        Parameters:
            size_limit: bytes that it may hold.
            name_limit: names (of files, directories and links) that it may have.
            budget: what the bytes are taken from besides, in steps of a megabyte.
        """
        overhead = size_limit + name_limit * _NAME_OVERHEAD + _LEAST_OVERHEAD
        self._quota = Quota(size_limit, budget, overhead)
        self._name_limit = name_limit
        self._names = 0
        super().__init__()

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._quota.used

    def close(self) -> None:
        """Give what it holds back to the budget."""
        with self.lock:
            self._quota.close()

    def take_name(self) -> None:
        """A name is about to be given to something. Raises WasiError(NOSPC)."""
        if self._names >= self._name_limit:
            raise WasiError(Errno.NOSPC, f"there are {self._names} names already")
        self._quota.take_overhead(_NAME_OVERHEAD)
        self._names += 1

    def give_name(self) -> None:
        """A name has been taken away."""
        self._names -= 1
        self._quota.give(0, overhead=_NAME_OVERHEAD)

    def new_file(self) -> FileNode:
        """An empty file."""
        return FileNode(self.new_inode(), time.time_ns(), MemoryContent(self._quota))

    def new_link(self, target: bytes) -> LinkNode:
        """A symbolic link. Raises WasiError(NOSPC)."""
        self._quota.take_all(len(target))
        return LinkNode(self.new_inode(), time.time_ns(), target)

    def release(self, node: Node) -> None:
        """A node has neither names nor handles any more."""
        if isinstance(node, FileNode):
            node.content.set_size(0)
        elif isinstance(node, LinkNode):
            self._quota.give(len(node.target))
