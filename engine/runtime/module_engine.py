"""The compiled functions of a module bound to one instance: its context, and what it defines.

`instantiate` in `instantiation.py` calls the steps in the order of section 4.5.4.
"""

from __future__ import annotations

import array
import ctypes
import itertools
import struct
import threading
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from farcall.engine.abi import layout
from farcall.engine.abi.traps import TrapKind
from farcall.engine.errors import ClosedError, EngineBug, TerminatedError, Trap
from farcall.engine.interface import ModuleEngine
from farcall.engine.runtime import listening
from farcall.engine.runtime.constant_expression import evaluate
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.heap import Heap, Roots
from farcall.engine.runtime.host_function import HostFunction
from farcall.engine.runtime.linked_group import Member, joined
from farcall.engine.runtime.linking import check_import
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.object_constants import ObjectConstants
from farcall.engine.runtime.segments import Segments
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.runtime.values import ValueConverter
from farcall.engine.structure.types import ExternKind, FunctionType, ValueType, refers_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from farcall.engine.runtime.compiled_module import CompiledCode, CompiledModule
    from farcall.engine.runtime.instance import Instance
    from farcall.engine.structure.module import ConstantExpression, Import

T = TypeVar("T")

_FLOAT_CONSTANTS = struct.pack("<4d4f", 0.0, -0.0, 1.0, -1.0, 0.0, -0.0, 1.0, -1.0)
_RECORD_TYPE_SIZE = layout.FUNCTION_RECORD_SIZE - layout.FUNCTION_RECORD_TYPE_ID
_SMALL_CONTEXT = 64 * 1024
"""Bytes of a context up to which it counts as nothing, like the Python objects of an instance; the number of instances
is limited. A larger one, of a module with thousands of functions or globals, is taken from the store's budget."""
_identities = itertools.count(1)
_by_context: weakref.WeakValueDictionary[int, NativeModuleEngine] = weakref.WeakValueDictionary()


class NativeModuleEngine(ModuleEngine, Member):
    """An instance's native half.

    Attributes:
        module: what it is an instance of.
        context: address of its context (vmctx).
        memories: by index, imports first; likewise `tables`, `globals` and `tags`.
        at_release: called when it is released, by what belongs to it.
    """

    def __init__(self, compiled: CompiledModule, instance: Instance) -> None:
        references, limits = instance.store.references, instance.store.limits
        counted = compiled.code.layout.size if compiled.code.layout.size > _SMALL_CONTEXT else 0
        instance.store.memory_budget.take(counted)
        self._give_back = weakref.finalize(self, instance.store.memory_budget.give, counted)
        self._give_back.atexit = False
        Member.__init__(self, references)
        native_runtime().ensure_fault_handlers()
        code = compiled.code
        self.module = compiled.module
        self.name = instance.name
        self._own_code: CompiledCode | None = code  # None once it is released
        self._layout = code.layout
        self._limits = limits
        self._memory_budget = instance.store.memory_budget
        self._identity = next(_identities)
        self._buffer = ctypes.create_string_buffer(code.layout.size + 16)
        self.context = -(-ctypes.addressof(self._buffer) // 16) * 16
        self.memories: dict[int, Memory] = {}
        self.tables: list[Table] = []
        self.globals: list[Global] = []
        self.tags: list[Tag] = []
        self._own_memories: list[Memory] = []  # those it releases: shared ones that it imports are among them
        self._own_tables: list[Table] = []
        self._imported_functions: dict[int, Function] = {}
        self._functions: dict[int, Function] = {}
        self._kept: list[object] = []  # what machine code has pointers to
        self.at_release: list[Callable[[], None]] = []
        self._segments = Segments(self.module, self._layout, self.context)
        _by_context[self.context] = self
        self._write_header()
        instance.store.adopt(self)
        references.add_source(self.context, self)
        if code.listening:
            self._reporter = listening.Reporter(self.module, compiled.listeners, references)
            listening.add_reporter(self._identity, self._reporter)

    @property
    def _code(self) -> CompiledCode:
        """Its code. Raises ClosedError: it is released, and keeps none."""
        if self._own_code is None:
            raise ClosedError(f"{self.title} is closed")
        return self._own_code

    def is_compiled(self, index: int) -> bool:
        """Whether function `index`, which the module defines, has code. Raises ClosedError."""
        return self._code.is_compiled(index)

    @property
    def title(self) -> str:
        """What it is, for error messages."""
        return f"instance {self.name!r}"

    def _write_header(self) -> None:
        context, code = self.context, self._code
        write_words(
            context,
            [
                self.group.execution_context,
                native_runtime().functions,
                self._identity,
                ctypes.addressof(code.type_ids),
            ],
        )
        write_words(context + layout.CONTEXT_CODE_TABLE, [code.code_table])
        for index in range(len(self.module.memories)):
            # Until there is a memory, an access is a trap, and no access to whatever lies at low addresses.
            space = native_runtime().space
            place = context + self._layout.memory(index)
            write_words(place, [space.absent_memory, space.absent_memory_record])
        ctypes.memmove(context + layout.CONTEXT_FLOAT_CONSTANTS, _FLOAT_CONSTANTS, len(_FLOAT_CONSTANTS))
        if self._has_heap:
            heap = self._heap()
            heap.keep_types(code.kept_types)
            descriptors = ctypes.addressof(code.descriptors)
            write_words(context + self._layout.heap, [heap.record, descriptors])
        records = code.function_records
        if records:
            first = context + self._layout.function_records
            count = len(records) // layout.FUNCTION_RECORD_SIZE
            stride = layout.FUNCTION_RECORD_SIZE // 8
            content = memoryview((ctypes.c_uint64 * (stride * count)).from_address(first)).cast("B")
            content[:] = records
            words = content.cast("Q")
            words[layout.FUNCTION_RECORD_CONTEXT // 8 :: stride] = memoryview(
                array.array("Q", [context]) * count
            )

    def moved(self, execution_context: int) -> None:
        """The linked group has another execution context now."""
        write_words(self.context + layout.CONTEXT_EXECUTION, [execution_context])
        if self.tags:
            self._use_exception_arena()
        if self._has_heap:
            write_words(self.context + self._layout.heap, [self._heap().record])

    @property
    def _has_heap(self) -> bool:
        return self._layout.size > self._layout.heap

    def _heap(self) -> Heap:
        return self.group.need_heap(self._memory_budget)

    # -- Imports ---------------------------------------------------------------------------------------------------

    def resolve_imported_function(
        self, index: int, index_in_imported_module: int, imported_module_engine: ModuleEngine
    ) -> None:
        """Wire imported function `index` to the exporting instance's function.

        Raises:
            LinkError: it is of another type, or of another store.
            ClosedError: one of the instances is closed.
            IndexError: there is no such import, or no such function.
        """
        exporter = _native(imported_module_engine)
        function = exporter.new_function(index_in_imported_module)
        check_import(self.module, self._import(ExternKind.FUNCTION, index), function, self.references)
        with joined((self, exporter)):
            self.import_function(function, index)

    def import_function(self, function: Function, index: int | None = None) -> None:
        """Wire the next imported function, or imported function `index`, to `function`; the group's lock is held."""
        position = len(self._imported_functions) if index is None else index
        code, context = function.code, function.context
        if isinstance(function, HostFunction):
            seen: Function = function
        else:
            assert function.home is not None
            self.need(function.home)
            if _carries_functions(function.type):
                self.group.shares_references = True  # each may be handed the other's functions, and keep them
            seen = function.seen_by(self)
        write_words(self.context + self._layout.function_import(position), [code, context])
        # The import's record says where the function comes from, so that references to it find its instance.
        record = self.context + self._layout.function_record(position)
        write_words(record, [code, context])
        # Its type may be a subtype of the import's.
        own = ctypes.string_at(function.reference + layout.FUNCTION_RECORD_TYPE_ID, _RECORD_TYPE_SIZE)
        ctypes.memmove(record + layout.FUNCTION_RECORD_TYPE_ID, own, len(own))
        self._imported_functions[position] = seen

    def resolve_imported_memory(
        self, imported_module_engine: ModuleEngine, index: int = 0, index_in_imported_module: int = 0
    ) -> None:
        """Share the exporter's memory as memory `index`.

        Raises:
            LinkError: it is of another type, or of another store.
            ClosedError: one of the instances is closed.
            IndexError: there is no such import, or no such memory.
        """
        exporter = _native(imported_module_engine)
        memory = exporter.memories.get(index_in_imported_module)
        if memory is None:
            raise IndexError(f"{exporter.title} has no memory {index_in_imported_module}")
        check_import(self.module, self._import(ExternKind.MEMORY, index), memory, self.references)
        with joined((self, exporter)) if memory.links else self.turn():
            self._share_memory(index, memory)

    def _import(self, kind: ExternKind, index: int) -> Import:
        imports = self.module.imported(kind)
        if not 0 <= index < len(imports):
            raise IndexError(f"{self.title} imports no {kind.name.lower()} {index}")
        return imports[index]

    def import_memory(self, memory: Memory) -> None:
        """Share `memory` as the next memory; the group's lock is held."""
        self._share_memory(len(self.memories), memory)

    def _share_memory(self, index: int, memory: Memory) -> None:
        if memory.links:
            self.need(memory.home)
        else:
            memory.hold()
            self._own_memories.append(memory)
        self._place_memory(index, memory.seen_by(self))

    def _place_memory(self, index: int, memory: Memory) -> None:
        write_words(self.context + self._layout.memory(index), [memory.base, memory.record])
        self.memories[index] = memory

    def import_table(self, table: Table) -> None:
        """Share `table` as the next table; the group's lock is held."""
        write_words(self.context + self._layout.table(len(self.tables)), [table.elements, table.record])
        self.tables.append(table.seen_by(self))
        self.need(table.home)
        if table.declared_type.element.top == "func":
            self.group.shares_references = True

    def import_global(self, global_: Global) -> None:
        """Share `global_` as the next global; the group's lock is held.

        A constant number is copied instead, so that it links no instances.
        """
        offset, _pointer = self._layout.global_(len(self.globals))
        if global_.links:
            self.need(global_.home)
            if refers_to(global_.type.value, "func"):
                self.group.shares_references = True
            shared = global_.seen_by(self)
        else:
            kept = ctypes.create_string_buffer(layout.GLOBAL_CELL_SIZE)
            ctypes.memmove(kept, global_.cell, layout.GLOBAL_CELL_SIZE)
            self._kept.append(kept)
            shared = Global(self, global_.type, ctypes.addressof(kept), global_.converter)
        write_words(self.context + offset, [shared.cell])
        self.globals.append(shared)

    def import_tag(self, tag: Tag) -> None:
        """Have `tag` as the next tag; the group's lock is held."""
        self.need(tag.home)
        self._add_tag(tag.seen_by(self))

    def _add_tag(self, tag: Tag) -> None:
        write_words(self.context + self._layout.tag(len(self.tags)), [tag.record])
        self.tags.append(tag)
        self._use_exception_arena()
        self.group.exception_arena().know(tag)
        if any(value.is_reference for value in tag.type.type.parameters):
            self.group.shares_references = True  # an exception takes a function to whoever catches it

    def _use_exception_arena(self) -> None:
        write_words(self.context + self._layout.exception_arena, [self.group.exception_arena().address])

    # -- What the module defines --------------------------------------------------------------------------------------

    def make_memories_and_tables(self) -> None:
        """Make the memories and tables that the module defines. Raises ExhaustionError."""
        for index in range(len(self.module.imported(ExternKind.MEMORY)), len(self.module.memories)):
            memory = Memory(self, self.module.memories[index], self._memory_budget, self._limits.memory_bytes)
            self._own_memories.append(memory)
            self._place_memory(index, memory)
        for table_type in self.module.tables[len(self.tables) :]:
            table = Table(self, table_type, self.references, self._memory_budget, self._limits.table_elements)
            write_words(self.context + self._layout.table(len(self.tables)), [table.elements, table.record])
            self._own_tables.append(table)
            self.tables.append(table)
        for table, initializer in zip(self._own_tables, self.module.table_initializers, strict=True):
            if initializer is not None:
                first = self.evaluate(initializer).to_bytes(8, "little")
                table.write_elements(0, first * table.size)

    def make_tags(self) -> None:
        """Make the tags that the module defines."""
        for index in range(len(self.tags), len(self.module.tag_types)):
            definition = self.module.tag_definition(index)
            self._add_tag(Tag(self, definition, self.references, self.module.tag_name(index)))

    def make_globals(self) -> None:
        """Make the globals that the module defines, with their first values."""
        for definition in self.module.globals:
            offset, _pointer = self._layout.global_(len(self.globals))
            cell = self.context + offset
            value = self.evaluate(definition.initializer)
            write_words(cell, [value & _WORD, value >> 64])
            converter = ValueConverter((definition.type.value,), self.references)
            self.globals.append(Global(self, definition.type, cell, converter))

    def evaluate(self, expression: ConstantExpression) -> int:
        """A constant expression's value, as the content of a slot."""
        objects = ObjectConstants(self.module, self._heap, self._code.descriptors)
        return evaluate(expression, self._global_bits, self.function_instance_reference, objects)

    def _global_bits(self, index: int) -> int:
        global_ = self.globals[index]
        value_type: ValueType = global_.type.value
        return int.from_bytes(ctypes.string_at(global_.cell, value_type.size), "little")

    def initialize_tables(self, check_stop: Callable[[], None]) -> None:
        """Copy active element segments, keep passive ones: see `Segments`."""
        self._segments.initialize_tables(self, check_stop)

    def initialize_memories(self) -> None:
        """Copy active data segments, point passive ones at the module's bytes: see `Segments`."""
        self._segments.initialize_memories(self)

    def done_instantiation(self) -> None:
        """Called at the end of instantiation; nothing is left to do."""

    # -- Use -------------------------------------------------------------------------------------------------------

    def new_function(self, index: int) -> Function:
        """A callable for function `index`; an import gives the function that it was resolved to.

        Raises:
            EngineBug: the import has not been resolved.
            IndexError: the module has no such function.
        """
        if not 0 <= index < len(self.module.function_types):
            raise IndexError(f"{self.title} has no function {index}")
        function = self._functions.get(index)
        if function is None:
            if index < self.module.imported_function_count:
                imported = self._imported_functions.get(index)
                if imported is None:
                    raise EngineBug(f"imported function {index} of {self.title} has not been resolved")
                return imported
            function = self._functions[index] = Function(
                self.module.function_definition(index),
                self.module.function_name(index),
                self,
                self.references,
                self._code.address(index),
                self.context,
                self.function_instance_reference(index),
            )
        return function

    def lookup_function(self, table: int, type_id: int, table_offset: int) -> tuple[ModuleEngine, int]:
        """The (instance's engine, index) that a `call_indirect` of that type would reach.

        Raises:
            Trap: the trap that it would raise.
        """
        function = self.lookup(table, type_id, table_offset)
        if not isinstance(function.home, NativeModuleEngine):
            raise EngineBug("a host function has no module engine; look it up as a function")
        index = ctypes.c_uint32.from_address(function.reference + layout.FUNCTION_RECORD_INDEX).value
        return function.home, index

    def lookup(self, table: int, type_id: int, table_offset: int) -> Function:
        """The function that a `call_indirect` of that type would reach, be it a guest's or a host's.

        Raises:
            Trap: the trap that it would raise.
        """
        with self.turn():
            elements = self.tables[table]
            if not 0 <= table_offset < elements.size:
                raise Trap(TrapKind.UNDEFINED_ELEMENT)
            reference = elements.element(table_offset)
            if reference == 0:
                raise Trap(TrapKind.UNINITIALIZED_ELEMENT)
            found = ctypes.c_int32.from_address(reference + layout.FUNCTION_RECORD_TYPE_ID).value
            if not self._code.types.matches(found, type_id):
                raise Trap(TrapKind.INDIRECT_CALL_TYPE_MISMATCH)
            function = self.references.function(reference)
        assert function is not None
        return function

    def function_instance_reference(self, func_index: int) -> int:
        """The reference that element segments and `ref.func` store for a function."""
        return self.context + self._layout.function_record(func_index)

    def held_references(self, top: str) -> set[int]:
        """The references of one hierarchy in its own tables and globals, as compiled code holds them.

        The group's lock is held, and no guest of it runs.
        """
        held: set[int] = set()
        for table in self._own_tables:
            if table.declared_type.element.top == top:
                held |= table.held_references()
        for global_ in self.globals:
            if refers_to(global_.type.value, top) and global_.home is self:
                held.add(ctypes.c_uint64.from_address(global_.cell).value)
        return held

    def roots(self) -> Roots:
        """Where its own tables, globals and element segments hold references to objects."""
        roots = self._segments.roots()
        for table in self._own_tables:
            roots += table.roots()
        for global_ in self.globals:
            if global_.home is self:
                roots += global_.roots()
        return roots

    def owns(self, reference: int) -> bool:
        """Whether the function record at that address is part of the context."""
        return self.context <= reference < self.context + self._layout.size

    def release(self) -> None:
        """Give memories, tables and the context back; nothing can reach them any more.

        What it has refers back to it. It lets go of all, so that its module's code goes now, and not when Python's
        collector of garbage comes by.
        """
        for release in self.at_release:
            release()
        self.at_release.clear()
        for memory in self._own_memories:
            memory.release()
        for table in self._own_tables:
            table.release()
        self.references.remove_source(self.context)
        listening.remove_reporter(self._identity)
        for own in (self._functions, self._imported_functions, self.memories):
            own.clear()
        for each in (self.tables, self.globals, self.tags, self._own_memories, self._own_tables):
            each.clear()
        self._own_code = None
        self._give_back()
        Member.release(self)


_WORD = (1 << 64) - 1


def _native(engine: ModuleEngine) -> NativeModuleEngine:
    if not isinstance(engine, NativeModuleEngine):
        raise EngineBug("instances of different engines cannot be linked")
    engine.check_open()
    return engine


def _carries_functions(type: FunctionType) -> bool:
    return any(refers_to(value_type, "func") for value_type in (*type.parameters, *type.results))


def wait_for_guest(outcome: Future[T]) -> T:
    """Wait, in a host function or its like, for what another thread does for the guest.

    Raises:
        TerminatedError: the guest is to stop; what is done is done nevertheless.
        BaseException: what the other thread raised.
    """
    engine = _by_context.get(native_runtime().caller_context())
    if engine is None:
        return outcome.result()
    group, awake = engine.group, threading.Event()
    outcome.add_done_callback(lambda _: awake.set())
    with group.waking(awake.set):
        if group.stop_reason is None:
            awake.wait()
    if not outcome.done():
        raise TerminatedError(group.stop_reason or "stopped")
    return outcome.result()
