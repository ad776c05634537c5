"""Decoded modules as bytes that load fast: plain tuples, written with `marshal`, and arrays for what there is much of.

What is read has been authenticated before. `marshal`'s format depends on the interpreter, which belongs to the key. The
source is not among it: who asks has it. What there is much of is packed in the module already, and its arrays are
written as they are; locals and names are read from the source again when they are wanted, as after decoding.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Literal

from farcall.engine.binary.code_section import LocalsReader
from farcall.engine.binary.custom_section import function_names
from farcall.engine.cache.type_codec import TypeReader, TypeWriter
from farcall.engine.structure.function_facts import FunctionFacts
from farcall.engine.structure.module import (
    ConstantExpression,
    ConstantInstruction,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Global,
    Import,
    Module,
    Names,
    Offsets,
    TypeProblem,
)
from farcall.engine.structure.packed import DataSegments, FunctionBodies, FunctionElements
from farcall.engine.structure.types import ExternKind, ReferenceType

_KINDS = tuple(ExternKind)
_Mode = Literal["active", "passive", "declarative"]


def encode_module(module: Module) -> bytes:
    """A decoded module, without its source and digest."""
    return marshal.dumps(_Writer(module).fields())


def decode_metadata(data: bytes | memoryview, source: bytes, digest: str) -> Module:
    """The module of which `data` was made.

    Parameters:
        source: the bytes that it was decoded from; `digest` is theirs.

    Raises:
        ValueError: `data` is of another format; no other error is possible for what `encode_module` made.
    """
    try:
        fields = marshal.loads(data)
        return _Reader(fields, source, digest).module()
    except (EOFError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"no module: {error}") from error


class _Writer:
    def __init__(self, module: Module) -> None:
        self._module = module
        self._types = TypeWriter(module.defined_types)

    def fields(self) -> dict[str, Any]:
        module, types = self._module, self._types
        optional = self._optional_expression
        return {
            "groups": types.groups(),
            "imports": [
                (e.module, e.name, e.kind.value, types.extern(e.type), e.type_index, e.offset, e.exact)
                for e in module.imports
            ],
            "function_types": array("I", module.function_types).tobytes(),
            "functions": module.functions.located.tobytes(),
            "tables": [types.extern(each) for each in module.tables],
            "memories": [types.extern(each) for each in module.memories],
            "global_types": [types.extern(each) for each in module.global_types],
            "globals": [(types.extern(e.type), self._expression(e.initializer)) for e in module.globals],
            "exports": [(e.name, e.kind.value, e.index, e.offset) for e in module.exports],
            "start": module.start,
            "elements": [
                (
                    *(e.mode, types.value(e.type), self._initializers(e.initializers)),
                    *(e.table, optional(e.table_offset), e.offset),
                )
                for e in module.elements
            ],
            "data": self._data(module.data),
            "data_count": module.data_count,
            "custom_sections": [(e.name, e.start, e.end) for e in module.custom_sections],
            "module_name": module.names.module,
            "offsets": (
                *(
                    array("Q", offsets).tobytes()
                    for offsets in (
                        module.offsets.types,
                        module.offsets.functions,
                        module.offsets.tables,
                        module.offsets.memories,
                        module.offsets.tags,
                    )
                ),
                module.offsets.start,
            ),
            "tag_types": module.tag_types,
            "type_problem": module.type_problem and (module.type_problem.reason, module.type_problem.offset),
            "table_initializers": [optional(each) for each in module.table_initializers],
            "facts": (
                module.facts.rows.tobytes(),
                module.facts.calls.tobytes(),
                module.facts.first_calls.tobytes(),
            ),
        }

    def _initializers(self, initializers: Sequence[ConstantExpression]) -> Any:
        if isinstance(initializers, FunctionElements):
            return (
                initializers.indices.tobytes(),
                initializers.offsets.tobytes(),
                initializers.function_count,
            )
        return [self._expression(each) for each in initializers]

    def _data(self, segments: DataSegments) -> tuple[bytes, list[Any]]:
        optional = self._optional_expression
        others = [
            (position, e.mode, e.start, e.end, e.memory, optional(e.memory_offset), e.offset)
            for position, e in segments.others.items()
        ]
        return segments.located.tobytes(), others

    def _expression(self, expression: ConstantExpression) -> tuple[Any, ...]:
        instructions = [
            (
                each.name,
                tuple(
                    [
                        value if isinstance(value, int) else (self._types.value(value),)
                        for value in each.immediates
                    ]
                ),
                each.offset,
            )
            for each in expression.instructions
        ]
        return (instructions, expression.offset)

    def _optional_expression(self, expression: ConstantExpression | None) -> tuple[Any, ...] | None:
        return None if expression is None else self._expression(expression)


class _Reader:
    def __init__(self, fields: dict[str, Any], source: bytes, digest: str) -> None:
        self._fields = fields
        self._source = source
        self._digest = digest
        self._types = TypeReader(fields["groups"])

    def module(self) -> Module:
        fields, types = self._fields, self._types
        optional = self._optional_expression
        defined = types.defined
        function_types = tuple(_numbers("I", fields["function_types"]))
        custom_sections = tuple([CustomSection(*each) for each in fields["custom_sections"]])
        names = function_names(self._source, custom_sections, len(function_types))
        module = Module(
            source=self._source,
            digest=self._digest,
            types=tuple([each.composite for each in defined]),
            imports=tuple(
                [
                    Import(module, name, _KINDS[kind], types.extern(type_), index, offset, exact)
                    for module, name, kind, type_, index, offset, exact in fields["imports"]
                ]
            ),
            function_types=function_types,
            functions=self._bodies(fields["functions"], function_types),
            tables=tuple(map(types.extern, fields["tables"])),
            memories=tuple(map(types.extern, fields["memories"])),
            global_types=tuple(map(types.extern, fields["global_types"])),
            globals=tuple(
                [Global(types.extern(each), self._expression(code)) for each, code in fields["globals"]]
            ),
            exports=tuple(
                [Export(name, _KINDS[kind], index, offset) for name, kind, index, offset in fields["exports"]]
            ),
            start=fields["start"],
            elements=tuple([self._element(*each) for each in fields["elements"]]),
            data=self._data(*fields["data"]),
            data_count=fields["data_count"],
            custom_sections=custom_sections,
            names=Names(fields["module_name"], names),
            offsets=self._offsets(*fields["offsets"]),
            tag_types=fields["tag_types"],
            defined_types=defined,
            type_problem=fields["type_problem"] and TypeProblem(*fields["type_problem"]),
            table_initializers=tuple(map(optional, fields["table_initializers"])),
        )
        self._facts(module.facts, *fields["facts"])
        return module

    def _offsets(
        self, types: bytes, functions: bytes, tables: bytes, memories: bytes, tags: bytes, start: int
    ) -> Offsets:
        return Offsets(
            _numbers("Q", types),
            _numbers("Q", functions),
            _numbers("Q", tables),
            _numbers("Q", memories),
            _numbers("Q", tags),
            start,
        )

    def _bodies(self, located: bytes, function_types: tuple[int, ...]) -> FunctionBodies:
        bodies = _numbers("I", located)
        first = len(function_types) - len(bodies) // FunctionBodies.WORDS
        read_locals = LocalsReader(self._source, list(self._types.defined)).read
        return FunctionBodies(bodies, first, function_types, read_locals)

    def _data(self, located: bytes, others: list[Any]) -> DataSegments:
        segments = DataSegments()
        segments.located = _numbers("I", located)
        for position, mode, start, end, memory, memory_offset, offset in others:
            segments.others[position] = DataSegment(
                mode, start, end, memory, self._optional_expression(memory_offset), offset
            )
        return segments

    def _facts(self, facts: FunctionFacts, rows: bytes, calls: bytes, first_calls: bytes) -> None:
        facts.rows = _numbers("I", rows)
        facts.calls = _numbers("I", calls)
        facts.first_calls = _numbers("Q", first_calls)

    def _element(
        self, mode: _Mode, type_: Any, initializers: Any, table: int, table_offset: Any, offset: int
    ) -> ElementSegment:
        expressions: Sequence[ConstantExpression]
        if isinstance(initializers, tuple):
            indices, offsets, function_count = initializers
            expressions = FunctionElements(_numbers("I", indices), _numbers("I", offsets), function_count)
        else:
            expressions = tuple(map(self._expression, initializers))
        reference = self._types.value(type_)
        assert isinstance(reference, ReferenceType)
        return ElementSegment(
            mode, reference, expressions, table, self._optional_expression(table_offset), offset
        )

    def _expression(self, encoded: tuple[Any, ...]) -> ConstantExpression:
        instructions, offset = encoded
        value: Callable[[Any], Any] = self._types.value
        return ConstantExpression(
            tuple(
                [
                    ConstantInstruction(
                        name,
                        tuple([each if isinstance(each, int) else value(each[0]) for each in immediates]),
                        place,
                    )
                    for name, immediates, place in instructions
                ]
            ),
            offset,
        )

    def _optional_expression(self, encoded: tuple[Any, ...] | None) -> ConstantExpression | None:
        return None if encoded is None else self._expression(encoded)


def _numbers(code: str, data: bytes) -> array[int]:
    numbers = array(code)
    numbers.frombytes(data)
    return numbers
