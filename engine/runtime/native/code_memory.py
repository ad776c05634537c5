"""Images mapped for execution, and the way back from an address to a function.

Code memory is written first and made executable afterwards: it is never both.
"""

from __future__ import annotations

import bisect
import ctypes
import functools
import itertools
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from farcall.engine.codegen.linker import Image
from farcall.engine.errors import Frame
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.profiling import NameOf, announce


class MappedCode:
    """An image in executable memory. It is unmapped when nothing refers to this object any more.

    Attributes:
        base: address of the image.
        size: mapped bytes.
    """

    def __init__(self, image: Image, name_of: NameOf = "farcall!{}".format) -> None:
        """Map an image.

        Parameters:
            name_of: from a symbol of it to the name for profilers.
        """
        self.size = c_library.round_to_pages(max(len(image.content), 1))
        mapped = map_from_file(image, self.size)
        self.base = _map_copy(image, self.size) if mapped is None else mapped
        self._functions = image.functions
        announce(self.base, image.content, image.functions, name_of)
        # Not at interpreter exit: threads may still run guests then, and the process's end frees all anyway.
        weakref.finalize(self, c_library.unmap_memory, self.base, self.size).atexit = False

    @functools.cached_property
    def addresses(self) -> dict[str, int]:
        """Of all functions, by their symbols."""
        return {name: self.base + offset for offset, _size, name in self._functions}


def _map_copy(image: Image, size: int) -> int:
    base = c_library.map_memory(size, c_library.PROT_READ | c_library.PROT_WRITE)
    ctypes.memmove(base, bytes(image.content), len(image.content))
    c_library.flush_instruction_cache(base, len(image.content))
    c_library.protect_memory(base, size, c_library.PROT_READ | c_library.PROT_EXECUTE)
    return base


def map_from_file(image: Image, size: int) -> int | None:
    """Map code where it lies; None where it is in no file, or the file system forbids execution."""
    if image.file is None or image.file.offset % c_library.PAGE_SIZE or not image.content:
        return None
    try:
        base = c_library.map_file(
            image.file.file.descriptor, image.file.offset, size, c_library.PROT_READ | c_library.PROT_EXECUTE
        )
    except OSError:
        return None
    c_library.flush_instruction_cache(base, len(image.content))
    return base


class MappedRange(Protocol):
    """Addresses that may hold code: from `base` on, so many bytes."""

    base: int
    size: int


class FrameNames(Protocol):
    """What the functions of code are called in backtraces."""

    def profiled_name(self, symbol: str) -> str:
        """What profilers call a function, by its symbol."""

    def frame(self, symbol: str) -> Frame | None:
        """The frame of a function by its symbol; None where it is none of its own."""


class FrameSource(Protocol):
    """Whose code it is: it knows the functions."""

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in the code."""


class _Registration(NamedTuple):
    """An owner's code; in the order of addresses.

    Attributes:
        order: of two registrations of one place, the later one has the greater; no two have the same.
        end: of the code; a return address may be this, behind a call that never returns.
    """

    start: int
    order: int
    end: int
    owner: weakref.ref[FrameSource]


class _Snapshot:
    """The registrations at some time, sorted by address; all but `found` never changes.

    Attributes:
        generation: of the registry, at that time.
        found: what return addresses stand for: guests trap at the same places again and again.
    """

    __slots__ = ("_entries", "_starts", "found", "generation")

    def __init__(self, generation: object, entries: Iterable[_Registration]) -> None:
        self.generation = generation
        self._entries = sorted(entries)
        self._starts = [entry.start for entry in self._entries]
        self.found: dict[int, Frame | None] = {}

    def look_up(self, address: int) -> Frame | None:
        """The frame of a return address, asked of the owner or remembered."""
        owner = self._owner(address)
        frame = None if owner is None else owner.frame_at(address)
        if len(self.found) < _MOST_FOUND:
            self.found[address] = frame
        return frame

    def _owner(self, address: int) -> FrameSource | None:
        position = bisect.bisect_left(self._starts, address)
        while position:
            position -= 1
            entry = self._entries[position]
            # An owner that is gone may still be here while other code has come to the place.
            owner = entry.owner()
            if owner is not None:
                return owner if address <= entry.end else None
        return None


_MOST_FOUND = 1 << 14


class CodeRegistry:
    """Which mapped code holds an address: for backtraces. Owners are held weakly.

    There is no lock. A signal's handler or a finaliser may interrupt whatever is done here, in the same thread, and
    call a guest that traps, register code, or end an owner: it would wait for itself for ever. So registrations are
    only added to a dictionary and taken from it, each of which is one step for the interpreter, and whoever looks
    something up does it in a snapshot, of which there is a new one after every change.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Registration] = {}
        self._orders = itertools.count()
        self._snapshot = _Snapshot(object(), ())
        # Replaced after every change of `_entries`: a snapshot that was made of what was there before is not used.
        self._generation = self._snapshot.generation

    def register(self, code: MappedRange, owner: FrameSource) -> None:
        """Remember that `code` belongs to `owner` until that is gone."""
        order = next(self._orders)
        self._entries[order] = _Registration(code.base, order, code.base + code.size, weakref.ref(owner))
        self._generation = object()
        weakref.finalize(owner, self._forget, order).atexit = False

    def _forget(self, order: int) -> None:
        del self._entries[order]
        self._generation = object()

    def frames(self, return_addresses: Sequence[int]) -> tuple[Frame, ...]:
        """The frames that return addresses stand for; those in code that nobody registered have none."""
        snapshot = self._current()
        found = snapshot.found
        try:
            frames = [found[address] for address in return_addresses]
        except KeyError:
            frames = [snapshot.look_up(address) for address in return_addresses]
        return tuple([frame for frame in frames if frame is not None])

    def _current(self) -> _Snapshot:
        snapshot = self._snapshot
        # Read before the entries are: what changes in between makes the snapshot an old one.
        generation = self._generation
        if snapshot.generation is not generation:
            self._snapshot = snapshot = _Snapshot(generation, list(self._entries.values()))
        return snapshot

    def __len__(self) -> int:
        return len(self._entries)
