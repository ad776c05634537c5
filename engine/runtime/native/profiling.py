"""Tells Linux `perf` which function machine code belongs to: by a perf map, or by a jitdump file.

A map, `/tmp/perf-PID.map`, has a line for each function, and perf finds it by itself. A jitdump file, `jit-PID.dump` in
the working directory, has the code as well, with the time from which it is valid: `perf inject --jit` makes of it what
`perf report` and `perf annotate` read, and addresses that are used again do no harm.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Protocol

from farcall.engine.codegen.elf import MACHINE_AARCH64, MACHINE_X86_64

NameOf = Callable[[str], str]
"""From a symbol to what people call it."""


class Profiling(Enum):
    """What is written for `perf`."""

    MAP = "map"
    JITDUMP = "jitdump"


class _Record(Protocol):
    def add(self, address: int, code: bytes, name: str) -> None:
        """A function is mapped."""

    def flush(self) -> None:
        """All that was added is to be read by others."""


class PerfMap:
    """A perf map: lines of address and size, in hexadecimal, and name."""

    def __init__(self, directory: Path = Path("/tmp")) -> None:
        self.path = directory / f"perf-{os.getpid()}.map"
        # Whoever owns the name decides what is in the file: in a directory that all can write to, a link is not
        # followed.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self.path, flags, 0o600), "w")

    def add(self, address: int, code: bytes, name: str) -> None:
        """A function is mapped."""
        self._file.write(f"{address:x} {len(code):x} {name}\n")

    def flush(self) -> None:
        """All that was added is to be read by others."""
        self._file.flush()


JITDUMP_HEADER = struct.Struct("<IIIIIIQQ")
"""Magic number, version, own size, ELF machine, padding, process, time, flags (perf's jitdump specification)."""
JITDUMP_LOAD = struct.Struct("<IIQIIQQQQ")
"""Kind 0, size of the record, time, process, thread, address twice, size of the code, number; then name and code."""
JITDUMP_MAGIC = 0x4A695444


class JitDump:
    """A jitdump file."""

    def __init__(self, directory: Path = Path()) -> None:
        self.path = directory / f"jit-{os.getpid()}.dump"
        self._file = self.path.open("w+b")
        machine = MACHINE_AARCH64 if os.uname().machine == "aarch64" else MACHINE_X86_64
        size = JITDUMP_HEADER.size
        header = (JITDUMP_MAGIC, 1, size, machine, 0, os.getpid(), time.monotonic_ns(), 0)
        self._file.write(JITDUMP_HEADER.pack(*header))
        self._file.flush()
        # perf records that the file is mapped for execution: that is how it learns of it. Python maps no more than the
        # file has.
        self._marker = mmap.mmap(
            self._file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC
        )
        self._count = 0

    def add(self, address: int, code: bytes, name: str) -> None:
        """A function is mapped."""
        text = name.encode() + b"\0"
        size = JITDUMP_LOAD.size + len(text) + len(code)
        process, thread = os.getpid(), threading.get_native_id()
        numbers = (process, thread, address, address, len(code), self._count)
        self._file.write(JITDUMP_LOAD.pack(0, size, time.monotonic_ns(), *numbers) + text + code)
        self._count += 1

    def flush(self) -> None:
        """All that was added is to be read by others."""
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._marker.close()
        self._file.close()


_lock = threading.Lock()
_record: _Record | None = None  # guarded by _lock


def start_profiling(profiling: Profiling) -> None:
    """Write for `perf` from now on, for the whole process; once begun, it goes on as it is.

    Raises:
        OSError: the file cannot be written.
    """
    global _record  # noqa: PLW0603 - the process has one
    with _lock:
        if _record is None:
            _record = PerfMap() if profiling is Profiling.MAP else JitDump()


def announce(base: int, content: bytes, functions: Iterable[tuple[int, int, str]], name_of: NameOf) -> None:
    """An image is mapped: its functions by offset, size and symbol. Costs nothing while nobody profiles."""
    if _record is None:
        return
    with _lock:
        for offset, size, symbol in functions:
            # A name is the rest of a line.
            name = name_of(symbol).encode("unicode_escape").decode("ascii")
            _record.add(base + offset, content[offset : offset + size], name)
        _record.flush()
