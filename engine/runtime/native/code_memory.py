"""Images mapped for execution, and the way back from an address to a function.

Code memory is written first and made executable afterwards: it is never both.
"""

from __future__ import annotations

import bisect
import ctypes
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from farcall.engine.codegen.linker import Image
from farcall.engine.errors import Frame
from farcall.engine.runtime.native import c_library


class MappedCode:
    """An image in executable memory. It is unmapped when nothing refers to this object any more.

    Attributes:
        base: address of the image.
        size: mapped bytes.
    """

    def __init__(self, image: Image) -> None:
        self.size = c_library.round_to_pages(max(len(image.content), 1))
        mapped = None if image.file is None else _map_from_file(image, self.size)
        self.base = _map_copy(image, self.size) if mapped is None else mapped
        c_library.flush_instruction_cache(self.base, len(image.content))
        self._starts = [offset for offset, _size, _name in image.functions]
        self._functions = image.functions
        self.addresses = {name: self.base + offset for offset, _size, name in image.functions}
        # Not at interpreter exit: threads may still run guests then, and the process's end frees all anyway.
        weakref.finalize(self, c_library.unmap_memory, self.base, self.size).atexit = False

    def symbol_at(self, address: int) -> str | None:
        """The name of the function that holds `address`, or None."""
        offset = address - self.base
        position = bisect.bisect_right(self._starts, offset) - 1
        if position < 0:
            return None
        start, size, name = self._functions[position]
        return name if start <= offset < start + max(size, 1) else None


def _map_copy(image: Image, size: int) -> int:
    base = c_library.map_memory(size, c_library.PROT_READ | c_library.PROT_WRITE)
    ctypes.memmove(base, bytes(image.content), len(image.content))
    c_library.protect_memory(base, size, c_library.PROT_READ | c_library.PROT_EXECUTE)
    return base


def _map_from_file(image: Image, size: int) -> int | None:
    """Map code where it lies; None where it is at no page boundary, or the file system forbids execution."""
    assert image.file is not None
    if image.file.offset % c_library.PAGE_SIZE or not image.content:
        return None
    try:
        return c_library.map_file(
            image.file.file.descriptor, image.file.offset, size, c_library.PROT_READ | c_library.PROT_EXECUTE
        )
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class _Registration:
    start: int
    end: int
    owner: weakref.ref[FrameSource]


class FrameSource(Protocol):
    """Whose code it is: it knows the functions."""

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in the code."""


_MOST_FOUND = 1 << 14


class CodeRegistry:
    """Which mapped code holds an address: for backtraces. Owners are held weakly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # What return addresses stand for, as long as no code comes or goes: guests trap at the same places again and
        # again. Replaced, not cleared: who has looked something up under other circumstances adds it to the old one.
        self._found: dict[int, Frame | None] = {}
        self._starts: list[int] = []  # guarded by _lock
        self._entries: list[_Registration] = []  # guarded by _lock
        # Owners are gone when the garbage collector says so, perhaps in a thread that has the lock at that moment:
        # they are only noted then.
        self._gone: deque[_Registration] = deque()

    def register(self, code: MappedCode, owner: FrameSource) -> None:
        """Remember that `code` belongs to `owner` until that is gone."""
        entry = _Registration(code.base, code.base + code.size, weakref.ref(owner))
        with self._lock:
            self._forget()
            self._found = {}
            position = bisect.bisect_left(self._starts, entry.start)
            self._starts.insert(position, entry.start)
            self._entries.insert(position, entry)
        weakref.finalize(owner, self._gone.append, entry).atexit = False

    def _forget(self) -> None:
        if self._gone:
            self._found = {}
        while self._gone:
            entry = self._gone.popleft()
            position = bisect.bisect_left(self._starts, entry.start)
            while self._entries[position] is not entry:
                position += 1
            del self._starts[position], self._entries[position]

    def frames(self, return_addresses: Sequence[int]) -> tuple[Frame, ...]:
        """The frames that return addresses stand for; those in code that nobody registered have none."""
        if self._gone:
            with self._lock:
                self._forget()
        found = self._found
        try:
            frames = [found[address] for address in return_addresses]
        except KeyError:
            frames = [self._look_up(address) for address in return_addresses]
        return tuple([frame for frame in frames if frame is not None])

    def _look_up(self, address: int) -> Frame | None:
        with self._lock:
            self._forget()
            found = self._found
            position = bisect.bisect_left(self._starts, address) - 1
            inside = position >= 0 and address <= self._entries[position].end
            owner = self._entries[position].owner() if inside else None
        # Owners may do what they like, and run the garbage collector: not under the lock.
        frame = None if owner is None else owner.frame_at(address)
        if len(found) < _MOST_FOUND:
            found[address] = frame
        return frame

    def __len__(self) -> int:
        with self._lock:
            self._forget()
            return len(self._entries)
