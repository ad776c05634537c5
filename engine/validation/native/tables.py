"""What the routine knows of a module: the context C of section 3.1.1 as bytes."""

from __future__ import annotations

import ctypes
from array import array

from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.function_facts import FACT_COUNT
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import EXNREF, GlobalType, TableType, ValueType
from farcall.engine.validation.module_context import ModuleContext
from farcall.engine.validation.native.instruction_rows import instruction_rows
from farcall.engine.validation.native.layout import (
    CONTEXT_WORDS,
    MUTABLE,
    TABLE_BYTES,
    TYPE_BYTES,
    At,
    TypeId,
)
from farcall.engine.validation.native.type_numbers import (
    BLOCK_TYPE,
    HEAP_TYPE,
    VALUE_TYPE,
    local_type_codes,
    matches,
    type_codes,
    type_number,
)


class Context:
    """The tables of a module, at addresses that stay as long as this does.

    Attributes:
        address: of the context.
        facts: where the functions' facts go.
    """

    def __init__(self, context: ModuleContext) -> None:
        module, disabled = context.module, context.disabled
        self._kept: list[object] = []
        self._words = (ctypes.c_uint64 * CONTEXT_WORDS)()
        self.address = ctypes.addressof(self._words)
        self.facts: array[int] = array("I", bytes(4 * FACT_COUNT * len(module.functions)))
        self._set(At.SOURCE, self._place(module.source))
        self._set(At.BODIES, self._place(module.functions.located))
        self._set(At.FACTS, self._place(self.facts))
        self._set(At.INSTRUCTIONS, self._place(instruction_rows(disabled)))
        self._set(At.MATCHES, self._place(matches()))
        self._set(At.SINGLE_TYPES, self._place(bytes(range(TypeId.OTHER + 1))))
        self._set(At.BLOCK_TYPE_CODES, self._place(type_codes(BLOCK_TYPE, disabled)))
        self._set(At.HEAP_TYPE_CODES, self._place(type_codes(HEAP_TYPE, disabled)))
        self._set(At.VALUE_TYPE_CODES, self._place(type_codes(VALUE_TYPE, disabled)))
        self._set(At.LOCAL_TYPE_CODES, self._place(local_type_codes(disabled)))
        self._set(At.INDEXED_BLOCK_TYPES, int(Feature.MULTI_VALUE not in disabled))
        self._set_types(module)
        self._set(At.FUNCTIONS, self._place(array("I", module.function_types)))
        self._set(At.FUNCTION_COUNT, len(module.function_types))
        self._set(At.IMPORTED_FUNCTIONS, module.imported_function_count)
        self._set(At.DECLARED, self._place(_declared(context)))
        self._set_list(At.GLOBALS, At.GLOBAL_COUNT, bytes(map(_global_byte, module.global_types)))
        self._set(At.TABLES, self._place(b"".join(map(_table_row, module.tables))))
        self._set(At.TABLE_COUNT, len(module.tables))
        indices = bytes([type_number(index_type) for index_type in context.memory_indices])
        self._set_list(At.MEMORIES, At.MEMORY_COUNT, indices)
        elements = bytes([type_number(segment.type) for segment in module.elements])
        self._set_list(At.ELEMENTS, At.ELEMENT_COUNT, elements)
        self._set(At.DATA_COUNT, module.data_count or 0)
        self._set(At.ANY, 1 << 32)
        self._set(At.TAGS, self._place(array("I", module.tag_types)))
        self._set(At.TAG_COUNT, len(module.tag_types))
        self._set(At.EXCEPTION, type_number(EXNREF))
        self._set(At.CAUGHT_EXCEPTION, type_number(EXNREF.with_null(False)))

    def _set(self, word: At, value: int) -> None:
        self._words[word // 8] = value

    def _set_list(self, place: At, count: At, content: bytes) -> None:
        self._set(place, self._place(content))
        self._set(count, len(content))

    def _place(self, content: bytes | array[int]) -> int:
        """The address of content that is kept from now on."""
        self._kept.append(content)
        if isinstance(content, array):
            return content.buffer_info()[0]
        return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0

    def _set_types(self, module: Module) -> None:
        values = bytearray()
        starts: list[tuple[int, int, int] | None] = []
        for defined in module.defined_types:
            if defined.kind != "func":
                starts.append(None)
                continue
            signature = defined.function
            starts.append((len(values), len(signature.parameters), len(signature.results)))
            values += _numbers(signature.parameters) + _numbers(signature.results)
        place = self._place(bytes(values))
        rows = bytearray()
        for entry in starts:
            start, parameters, results = entry or (-place, 0, 0)
            rows += (place + start).to_bytes(8, "little")
            rows += parameters.to_bytes(4, "little") + results.to_bytes(4, "little")
        assert len(rows) == len(starts) * TYPE_BYTES
        self._set(At.TYPES, self._place(bytes(rows)))
        self._set(At.TYPE_COUNT, len(starts))


def _numbers(values: tuple[ValueType, ...]) -> bytes:
    return bytes([type_number(value) for value in values])


def _declared(context: ModuleContext) -> bytes:
    declared = bytearray(len(context.functions))
    for index in context.declared_functions:
        if index < len(declared):
            declared[index] = 1
    return bytes(declared)


def _global_byte(entry: GlobalType) -> int:
    return type_number(entry.value) | (MUTABLE if entry.mutable else 0)


def _table_row(table: TableType) -> bytes:
    numbers = (type_number(table.element), type_number(table.index_type), int(table.element.top == "func"))
    return bytes(numbers).ljust(TABLE_BYTES, b"\0")
