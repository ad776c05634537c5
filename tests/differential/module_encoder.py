"""A small encoder of binary modules (chapter 5 of the specification), for modules that tests generate.

Instructions are encoded by the rows of farcall's table; that the rows are right shows in wasmtime reading the
same bytes.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from farcall.engine.instructions.instruction import Immediate
from farcall.engine.instructions.table import BY_NAME
from farcall.engine.structure.types import VALUE_TYPES

VALUE_TYPE_CODES = {value_type.name: code for code, value_type in VALUE_TYPES.items()}
EMPTY_BLOCK = 0x40
KINDS = {"function": 0, "table": 1, "memory": 2, "global": 3}

Signature = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of parameter and result types."""


def unsigned(value: int) -> bytes:
    """LEB128 of an unsigned integer."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def signed(value: int) -> bytes:
    """LEB128 of a signed integer."""
    encoded = bytearray()
    while not -0x40 <= value < 0x40:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value & 0x7F)
    return bytes(encoded)


def vector(items: Sequence[bytes]) -> bytes:
    """A vector: its length and its items."""
    return unsigned(len(items)) + b"".join(items)


def name(text: str) -> bytes:
    """A name."""
    encoded = text.encode()
    return unsigned(len(encoded)) + encoded


def types(names: Iterable[str]) -> bytes:
    """A vector of value types."""
    return vector([bytes((VALUE_TYPE_CODES[name],)) for name in names])


def limits(minimum: int, maximum: int | None, *, shared: bool = False) -> bytes:
    """Limits of a memory or table; a shared memory's have a maximum."""
    if shared:
        assert maximum is not None
        return b"\3" + unsigned(minimum) + unsigned(maximum)
    return b"\0" + unsigned(minimum) if maximum is None else b"\1" + unsigned(minimum) + unsigned(maximum)


def instruction(instruction_name: str, *immediates: Any) -> bytes:
    """One instruction. Block types are given as a type index, a type's name or None."""
    row = BY_NAME[instruction_name]
    encoded = bytes((row.opcode,)) if row.prefix is None else bytes((row.prefix,)) + unsigned(row.opcode)
    return encoded + b"".join(
        _IMMEDIATES.get(kind, unsigned)(value) for kind, value in zip(row.immediates, immediates, strict=True)
    )


def _block_type(value: int | str | None) -> bytes:
    if value is None:
        return bytes((EMPTY_BLOCK,))
    return bytes((VALUE_TYPE_CODES[value],)) if isinstance(value, str) else signed(value)


_IMMEDIATES: dict[Immediate, Callable[[Any], bytes]] = {
    Immediate.BLOCK_TYPE: _block_type,
    Immediate.HEAP_TYPE: lambda name: bytes((VALUE_TYPE_CODES[name],)),
    Immediate.SIGNED_32: signed,
    Immediate.SIGNED_64: signed,
    Immediate.FLOAT_32: lambda bits: struct.pack("<I", bits),
    Immediate.FLOAT_64: lambda bits: struct.pack("<Q", bits),
    Immediate.LABELS: lambda labels: (
        vector([unsigned(label) for label in labels[:-1]]) + unsigned(labels[-1])
    ),
    Immediate.VALUE_TYPES: types,
    Immediate.MEMORY_ACCESS: lambda access: unsigned(access[0]) + unsigned(access[1]),
}
"""How immediates are encoded; those not here are indices. An access is (alignment's exponent, offset)."""


def constant(type_name: str, bits: int) -> bytes:
    """The constant with this bit pattern."""
    width = int(type_name[1:])
    if type_name[0] == "i" and bits >> width - 1:
        bits -= 1 << width
    return instruction(f"{type_name}.const", bits)


def section(number: int, content: bytes) -> bytes:
    """A section."""
    return bytes((number,)) + unsigned(len(content)) + content


@dataclass(slots=True)
class ModuleEncoder:
    """Collects a module's parts; whatever is added gets an index, which is returned."""

    signatures: list[Signature] = field(default_factory=list)
    imports: list[bytes] = field(default_factory=list)
    imported_counts: Counter[str] = field(default_factory=Counter)
    functions: list[tuple[int, bytes]] = field(default_factory=list)
    tables: list[bytes] = field(default_factory=list)
    memories: list[bytes] = field(default_factory=list)
    globals: list[bytes] = field(default_factory=list)
    exports: list[bytes] = field(default_factory=list)
    elements: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)

    def type(self, signature: Signature) -> int:
        """The index of a function type."""
        if signature not in self.signatures:
            self.signatures.append(signature)
        return self.signatures.index(signature)

    def import_(self, module: str, import_name: str, kind: str, description: bytes) -> int:
        """An import; all imports of a kind come before what is defined. `description` is the type, encoded."""
        self.imports.append(name(module) + name(import_name) + bytes((KINDS[kind],)) + description)
        self.imported_counts[kind] += 1
        return self.imported_counts[kind] - 1

    def import_function(self, module: str, import_name: str, signature: Signature) -> int:
        """An imported function."""
        return self.import_(module, import_name, "function", unsigned(self.type(signature)))

    def export(self, kind: str, index: int, export: str) -> None:
        """Export what has this index."""
        self.exports.append(name(export) + bytes((KINDS[kind],)) + unsigned(index))

    def function(
        self, signature: Signature, body: bytes, local_types: Sequence[str] = (), export: str | None = None
    ) -> int:
        """A function; `body` is without its final `end`."""
        local_runs = [b"\1" + bytes((VALUE_TYPE_CODES[type_name],)) for type_name in local_types]
        code = vector(local_runs) + body + b"\x0b"
        self.functions.append((self.type(signature), unsigned(len(code)) + code))
        return self._defined("function", len(self.functions) - 1, export)

    def table(self, element: str, minimum: int, maximum: int | None = None, export: str | None = None) -> int:
        """A table."""
        self.tables.append(bytes((VALUE_TYPE_CODES[element],)) + limits(minimum, maximum))
        return self._defined("table", len(self.tables) - 1, export)

    def memory(
        self, minimum: int, maximum: int | None = None, export: str | None = None, *, shared: bool = False
    ) -> int:
        """A memory."""
        self.memories.append(limits(minimum, maximum, shared=shared))
        return self._defined("memory", len(self.memories) - 1, export)

    def global_(self, type_name: str, mutable: bool, initializer: bytes, export: str | None = None) -> int:
        """A global."""
        self.globals.append(bytes((VALUE_TYPE_CODES[type_name], mutable)) + initializer + b"\x0b")
        return self._defined("global", len(self.globals) - 1, export)

    def active_elements(self, offset: int, functions: Sequence[int]) -> int:
        """An active element segment of table 0."""
        content = [unsigned(index) for index in functions]
        self.elements.append(b"\0" + constant("i32", offset) + b"\x0b" + vector(content))
        return len(self.elements) - 1

    def passive_elements(self, functions: Sequence[int]) -> int:
        """A passive element segment of functions."""
        self.elements.append(b"\1\0" + vector([unsigned(index) for index in functions]))
        return len(self.elements) - 1

    def active_data(self, offset: int, content: bytes) -> int:
        """An active data segment of memory 0."""
        self.data.append(b"\0" + constant("i32", offset) + b"\x0b" + unsigned(len(content)) + content)
        return len(self.data) - 1

    def passive_data(self, content: bytes) -> int:
        """A passive data segment."""
        self.data.append(b"\1" + unsigned(len(content)) + content)
        return len(self.data) - 1

    def _defined(self, kind: str, position: int, export: str | None) -> int:
        index = self.imported_counts[kind] + position
        if export is not None:
            self.export(kind, index, export)
        return index

    def encode(self) -> bytes:
        """The module."""
        signatures = [b"\x60" + types(parameters) + types(results) for parameters, results in self.signatures]
        parts = [
            (1, signatures),
            (2, self.imports),
            (3, [unsigned(type_index) for type_index, _ in self.functions]),
            (4, self.tables),
            (5, self.memories),
            (6, self.globals),
            (7, self.exports),
            (9, self.elements),
        ]
        encoded = b"".join(section(number, vector(items)) for number, items in parts if items)
        if self.data:
            encoded += section(12, unsigned(len(self.data)))
        if self.functions:
            encoded += section(10, vector([code for _, code in self.functions]))
        if self.data:
            encoded += section(11, vector(self.data))
        return b"\0asm\1\0\0\0" + encoded
