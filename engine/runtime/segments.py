"""Element and data segments of one instance: active ones are copied, passive ones stay for `table.init` and others."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from farcall.engine.abi.layout import ContextLayout
from farcall.engine.abi.traps import TrapKind
from farcall.engine.errors import Trap
from farcall.engine.runtime.heap import Roots
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.structure.packed import FunctionElements

if TYPE_CHECKING:
    from farcall.engine.runtime.module_engine import NativeModuleEngine
    from farcall.engine.structure.module import ElementSegment, Module

_ENTRIES_AT_ONCE = 4096
"""Of an element segment, which may have millions: a few milliseconds between two looks at whether to stop."""


class Segments:
    """The segments of a module, as one instance has them in its context."""

    def __init__(self, module: Module, layout: ContextLayout, context: int) -> None:
        """Do nothing yet.

        Parameters:
            context: address of the instance's context, which has the layout.
        """
        self._module = module
        self._layout = layout
        self._context = context
        self._kept: list[object] = []  # what machine code has pointers to
        self._unfinished: Roots = []  # element segments as far as they are evaluated

    def initialize_tables(self, engine: NativeModuleEngine, check_stop: Callable[[], None]) -> None:
        """Copy active element segments to their tables, in order; keep passive ones.

        Parameters:
            engine: of the instance.
            check_stop: is called again and again, and raises TerminatedError once the instantiation is to stop.

        Raises:
            TerminatedError: `check_stop` raised it.
            Trap: a segment leaves its table; those before it have been copied.
        """
        for index, segment in enumerate(self._module.elements):
            if segment.mode == "declarative":
                continue
            references = self._references(engine, segment, check_stop)
            if segment.mode == "active":
                assert segment.table_offset is not None
                table, offset = engine.tables[segment.table], engine.evaluate(segment.table_offset)
                if offset + len(segment.initializers) > table.size:
                    raise Trap(TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS)
                table.write_elements(offset, references)
            elif segment.initializers:
                self._kept.append(references)
                place = self._context + self._layout.element_segment(index)
                write_words(place, [ctypes.addressof(references), len(segment.initializers)])
        self._unfinished = []

    def _references(
        self, engine: NativeModuleEngine, segment: ElementSegment, check_stop: Callable[[], None]
    ) -> ctypes.Array[ctypes.c_uint64]:
        """The elements of a segment. Objects among them are not lost while others are made."""
        count = len(segment.initializers)
        references = (ctypes.c_uint64 * count)()
        if segment.type.top == "func":
            packed = segment.initializers if isinstance(segment.initializers, FunctionElements) else None
            for first in range(0, count, _ENTRIES_AT_ONCE):
                check_stop()
                if packed is not None:
                    indices = packed.indices[first : first + _ENTRIES_AT_ONCE]
                    references[first : first + len(indices)] = [
                        engine.function_instance_reference(index) for index in indices
                    ]
                    continue
                entries = segment.initializers[first : first + _ENTRIES_AT_ONCE]
                references[first : first + len(entries)] = [engine.evaluate(entry) for entry in entries]
            return references
        self._unfinished = [(ctypes.addressof(references), count)]
        for position, entry in enumerate(segment.initializers):
            if position % _ENTRIES_AT_ONCE == 0:
                check_stop()
            references[position] = engine.evaluate(entry)
        return references

    def initialize_memories(self, engine: NativeModuleEngine) -> None:
        """Copy active data segments to their memories, in order; point passive ones at the module's bytes.

        Parameters:
            engine: of the instance.

        Raises:
            Trap: a segment leaves its memory; those before it have been copied.
        """
        source = self._module.source
        start = ctypes.cast(ctypes.c_char_p(source), ctypes.c_void_p).value or 0
        segments = self._module.data
        for index in range(len(segments)):
            usual = segments.in_first_memory(index)  # there may be 100,000 of them
            if usual is not None:
                _copy_data(engine.memories[0], usual[2], start + usual[0], usual[1] - usual[0])
                continue
            segment = segments[index]
            length = segment.end - segment.start
            if segment.mode == "passive":
                place = self._context + self._layout.data_segment(index)
                write_words(place, [start + segment.start, length])
                continue
            assert segment.memory_offset is not None
            offset = engine.evaluate(segment.memory_offset)
            _copy_data(engine.memories[segment.memory], offset, start + segment.start, length)

    def roots(self) -> Roots:
        """Where segments hold references to objects."""
        roots = [*self._unfinished]
        for index, segment in enumerate(self._module.elements):
            if segment.mode == "passive" and segment.type.top != "func":
                place = self._context + self._layout.element_segment(index)
                address, count = (ctypes.c_uint64 * 2).from_address(place)
                roots.append((address, count))
        return roots


def _copy_data(memory: Memory, offset: int, origin: int, length: int) -> None:
    if offset + length > memory.size:
        raise Trap(TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS)
    ctypes.memmove(memory.base + offset, origin, length)
