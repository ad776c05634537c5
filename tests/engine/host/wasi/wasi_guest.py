"""A guest that does nothing but pass calls of WASI on, so that tests can make each with any arguments."""

from __future__ import annotations

import functools
import struct

from farcall.engine import Instance, Store
from farcall.engine.host.wasi.families import CALLS
from farcall.engine.host.wasi.system import WasiSystem
from tests.engine.guests import wasm

PREVIEW_1, UNSTABLE = "wasi_snapshot_preview1", "wasi_unstable"


@functools.cache
def module(snapshot: str, pages: int = 2) -> bytes:
    imports, functions = [], []
    for name, call in CALLS.items():
        if snapshot == UNSTABLE and name == "sock_accept":
            continue
        parameters = " ".join(value_type.name for value_type in call.type.parameters)
        results = "(result i32)" if call.type.results else ""
        imports.append(f'(import "{snapshot}" "{name}" (func ${name} (param {parameters}) {results}))')
        arguments = " ".join(f"(local.get {position})" for position in range(len(call.type.parameters)))
        functions.append(
            f'(func (export "{name}") (param {parameters}) {results} (call ${name} {arguments}))'
        )
    memory = f'(memory (export "memory") {pages})'
    return wasm(f"(module {' '.join(imports)} {memory} {' '.join(functions)})")


class WasiGuest:
    """An instance, and room in its memory for what calls are given."""

    def __init__(self, store: Store, system: WasiSystem, snapshot: str = PREVIEW_1) -> None:
        self.system = system
        self.snapshot = snapshot
        self.instance: Instance = store.instantiate(
            store.engine.load_module(module(snapshot)), system.imports
        )
        self.memory = self.instance.memory("memory")
        self._top = 64

    def __getattr__(self, name):
        function = self.instance.function(name)

        def call(*arguments):
            values = []
            for value, value_type in zip(arguments, function.type.parameters, strict=True):
                bits = 8 * value_type.size
                values.append((value & (1 << bits) - 1) - ((value >> bits - 1 & 1) << bits))
            return function(*values)

        return call

    def room(self, size: int) -> int:
        """A pointer to that many bytes, aligned to 8."""
        pointer = -(-self._top // 8) * 8
        self._top = pointer + size
        assert self._top <= self.memory.size
        return pointer

    def put(self, content: bytes) -> int:
        pointer = self.room(len(content))
        self.memory.write(pointer, content)
        return pointer

    def vectors(self, *contents: bytes | int) -> tuple[int, int]:
        """An array of vectors, with bytes to be written, or room for that many; pointer and count."""
        entries = b"".join(
            struct.pack("<II", self.room(each), each)
            if isinstance(each, int)
            else struct.pack("<II", self.put(each), len(each))
            for each in contents
        )
        return self.put(entries), len(contents)

    def path(self, path: bytes) -> tuple[int, int]:
        return self.put(path), len(path)

    def unpack(self, layout: str, pointer: int):
        return struct.unpack(layout, self.memory.read(pointer, struct.calcsize(layout)))

    def number(self, pointer: int) -> int:
        return self.unpack("<I", pointer)[0]

    # -- What tests do most --------------------------------------------------------------------------------------------

    def open(self, path: bytes, oflags=0, rights=-1, inheriting=-1, fdflags=0, directory=3, lookup=1):
        """Open; the error number and the descriptor. Rights are all that the directory can hand on, by default."""
        known = (1 << 28) - 1
        opened = self.room(4)
        error = self.path_open(
            directory, lookup, *self.path(path), oflags, rights & known, inheriting & known, fdflags, opened
        )
        return error, self.number(opened)

    def write(self, number: int, *contents: bytes) -> tuple[int, int]:
        written = self.room(4)
        return self.fd_write(number, *self.vectors(*contents), written), self.number(written)

    def read(self, number: int, *sizes: int) -> tuple[int, bytes]:
        count = self.room(4)
        vectors, entries = self.vectors(*sizes)
        error = self.fd_read(number, vectors, entries, count)
        places = [self.unpack("<II", vectors + 8 * entry) for entry in range(entries)]
        content = b"".join(self.memory.read(*place) for place in places)
        return error, content[: self.number(count)]
