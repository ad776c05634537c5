"""What the calls of WASI work on: a program's state, and the memory of the instance that calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from farcall.engine.host.filesystem.interface import FileType, Handle
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.wasi.descriptors import Descriptor, DescriptorTable
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.layouts import IOVEC, Snapshot
from farcall.engine.runtime.caller import Caller

_MOST_VECTORS = 1024
"""Entries of an array of `$iovec` (POSIX's IOV_MAX on Linux); more are `INVAL`."""
_MOST_BYTES = (1 << 32) - 1
"""That one call moves: the result is a `$size`."""
LONGEST_PATH = 4096
"""Bytes; more are `NAMETOOLONG`."""


_read_vector = IOVEC.unpack_from


@dataclass(slots=True)
class Program:
    """What a program has of the system.

    Attributes:
        arguments: with its name first.
        environment: `NAME=value` each.
        descriptors: open files, directories, streams and sockets.
        handles: counts what is open, and closes it with the program.
    """

    arguments: tuple[bytes, ...] = ()
    environment: tuple[bytes, ...] = ()
    descriptors: DescriptorTable = field(default_factory=DescriptorTable)
    handles: OpenHandles = field(default_factory=OpenHandles)

    def close(self) -> None:
        """Close all that is open."""
        self.descriptors.close()
        self.handles.close()


class Guest:
    """An instance that calls WASI.

    Attributes:
        program: whose instance it is.
        snapshot: which snapshot of WASI it calls.
        waiter: where calls that block sleep.
        memory: () -> its memory, whole, with its present size. Slices that leave it are cut short without a word; a
            `struct.Struct` raises, which is `FAULT` to the guest.
        descriptor: (number) -> the open descriptor, or None.
    """

    __slots__ = ("descriptor", "memory", "program", "snapshot", "waiter")

    def __init__(self, program: Program, snapshot: Snapshot, caller: Caller) -> None:
        self.program = program
        self.snapshot = snapshot
        self.waiter = caller.waiter
        self.memory = caller.whole_memory
        self.descriptor = program.descriptors.get

    # -- Memory ------------------------------------------------------------------------------------------------------

    def bytes_at(self, pointer: int, length: int) -> memoryview:
        """A part of the memory. Raises WasiError(FAULT) where it leaves the memory."""
        memory = self.memory()
        end = pointer + length
        if end > len(memory):
            raise WasiError(Errno.FAULT)
        return memory[pointer:end]

    def path_at(self, pointer: int, length: int) -> bytes:
        """A path. Raises WasiError: `FAULT`, or `NAMETOOLONG`; file systems look at the rest."""
        content = self.bytes_at(pointer, length)
        if length > LONGEST_PATH:
            raise WasiError(Errno.NAMETOOLONG)
        return bytes(content)

    def buffers(self, memory: memoryview, vectors: int, count: int) -> list[memoryview]:
        """The parts of the memory that an array of `$iovec` or `$ciovec` names.

        Parameters:
            memory: what `memory` gives.
            vectors: pointer to the array.
            count: entries of it.

        Raises:
            WasiError: `FAULT`, the array or what it names leaves the memory; `INVAL`, they are too many.
        """
        size = len(memory)
        if count == 1:
            pointer, length = _read_vector(memory, vectors)
            end = pointer + length
            if end > size:
                raise WasiError(Errno.FAULT)
            return [memory[pointer:end]]
        if vectors + count * IOVEC.size > size:
            raise WasiError(Errno.FAULT)
        if count > _MOST_VECTORS:
            raise WasiError(Errno.INVAL, f"{count} vectors")
        buffers = []
        total = 0
        for pointer, length in IOVEC.iter_unpack(memory[vectors : vectors + count * IOVEC.size]):
            end = pointer + length
            if end > size:
                raise WasiError(Errno.FAULT)
            if length:
                buffers.append(memory[pointer:end])
                total += length
        if total > _MOST_BYTES:
            raise WasiError(Errno.INVAL, f"{total} bytes at once")
        return buffers

    # -- Descriptors -------------------------------------------------------------------------------------------------

    def open_descriptor(self, number: int, rights: int) -> Descriptor:
        """An open descriptor that has all of `rights`. Raises WasiError: `BADF`, `NOTCAPABLE`."""
        descriptor = self.descriptor(number)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        if descriptor.rights & rights != rights:
            raise WasiError(Errno.NOTCAPABLE)
        return descriptor

    def handle(self, number: int, rights: int) -> Handle:
        """What a descriptor that has all of `rights` is open on. Raises WasiError: `BADF`, `NOTCAPABLE`."""
        return self.open_descriptor(number, rights).handle

    def directory(self, number: int, rights: int) -> Handle:
        """The directory that a descriptor is open on. Raises WasiError: `BADF`, `NOTDIR`, `NOTCAPABLE`."""
        descriptor = self.descriptor(number)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        if descriptor.rights & rights != rights:
            is_directory = descriptor.handle.type is FileType.DIRECTORY
            raise WasiError(Errno.NOTCAPABLE if is_directory else Errno.NOTDIR)
        return descriptor.handle
