"""Where compiled code finds what: layouts of the structures that it shares with the runtime.

Every field is 8 bytes unless said otherwise and naturally aligned, so that the layouts are the same on all
64-bit targets. Offsets are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique

from farcall.engine.structure.module import Module
from farcall.engine.structure.types import ExternKind

# -- The instance's context, `vmctx`: a header, then the arrays that `ContextLayout` places. ----------------------

CONTEXT_EXECUTION = 0
"""Pointer to the execution context of the instance's linked group; constant while any of its frames is live."""
CONTEXT_RUNTIME = 8
"""Pointer to the table of runtime functions (`RuntimeFunction`)."""
CONTEXT_IDENTITY = 16
"""A number that names the instance in calls to the runtime."""
CONTEXT_TYPE_IDS = 24
"""Pointer to the canonical type ids (i32) of the module's types, by type index."""
CONTEXT_FLOAT_CONSTANTS = 32
"""0.0, -0.0, 1.0, -1.0 as f64, then the same as f32: 48 bytes.

LLVM folds `x * 1.0` and its like to x, which would let a signaling NaN through where section 4.3.3 wants a quiet
one. A constant that comes from here is one that LLVM does not know.
"""
CONTEXT_CODE_TABLE = 80
"""Pointer to the code table (`abi.code_table`); null where all code calls directly."""
CONTEXT_HEADER_SIZE = 96

FLOAT_CONSTANTS_64: dict[int, int] = {
    0x0000000000000000: CONTEXT_FLOAT_CONSTANTS,
    0x8000000000000000: CONTEXT_FLOAT_CONSTANTS + 8,
    0x3FF0000000000000: CONTEXT_FLOAT_CONSTANTS + 16,
    0xBFF0000000000000: CONTEXT_FLOAT_CONSTANTS + 24,
}
"""Offset by the bits of the f64 constant."""

FLOAT_CONSTANTS_32: dict[int, int] = {
    0x00000000: CONTEXT_FLOAT_CONSTANTS + 32,
    0x80000000: CONTEXT_FLOAT_CONSTANTS + 36,
    0x3F800000: CONTEXT_FLOAT_CONSTANTS + 40,
    0xBF800000: CONTEXT_FLOAT_CONSTANTS + 44,
}
"""Offset by the bits of the f32 constant."""

# -- What the arrays hold. -----------------------------------------------------------------------------------------

MEMORY_ENTRY_SIZE = 16
"""A memory in the context: its base (constant for its lifetime), then a pointer to its memory record."""
MEMORY_ENTRY_BASE = 0
MEMORY_ENTRY_RECORD = 8

MEMORY_RECORD_SIZE = 104
"""A memory, for all that import it: base, size, maximum and page size in bytes, pointer to its budget, and the lock
(a `pthread_mutex_t`, which takes 40 to 48 bytes) that makes its growth atomic.

The size of a shared memory changes while others read it.
"""
MEMORY_RECORD_BASE = 0
MEMORY_RECORD_BYTES = 8
MEMORY_RECORD_MAXIMUM = 16
MEMORY_RECORD_PAGE = 24
MEMORY_RECORD_BUDGET = 32
MEMORY_RECORD_LOCK = 40

BUDGET_SIZE = 16
"""What memories may still take together: bytes (signed), then a pointer to the budget it is part of, or null."""
BUDGET_BYTES = 0
BUDGET_PARENT = 8

TABLE_ENTRY_SIZE = 16
"""A table in the context: a pointer to its elements (constant for its lifetime), then one to its table record."""
TABLE_ENTRY_ELEMENTS = 0
TABLE_ENTRY_RECORD = 8

TABLE_RECORD_SIZE = 32
"""A table, shared by all that import it: pointer to the elements, size, maximum (elements), pointer to its budget."""
TABLE_RECORD_ELEMENTS = 0
TABLE_RECORD_LENGTH = 8
TABLE_RECORD_MAXIMUM = 16
TABLE_RECORD_BUDGET = 24

TABLE_ELEMENT_SIZE = 8

GLOBAL_CELL_SIZE = 16
"""A global that the instance defines: its value, in place (16 bytes so that a vector fits, aligned)."""
GLOBAL_POINTER_SIZE = 8
"""A global that it imports: a pointer to the cell of the instance that defines it."""

FUNCTION_IMPORT_SIZE = 16
"""An imported function: its code, then the vmctx to call it with."""
FUNCTION_IMPORT_CODE = 0
FUNCTION_IMPORT_CONTEXT = 8

FUNCTION_RECORD_SIZE = 40
"""What a funcref points to: code, the vmctx to call it with, canonical type id (i32), function index (i32), tail entry,
and a pointer to the type's descriptor (`abi.objects`)."""
FUNCTION_RECORD_CODE = 0
FUNCTION_RECORD_CONTEXT = 8
FUNCTION_RECORD_TYPE_ID = 16
FUNCTION_RECORD_INDEX = 20
FUNCTION_RECORD_TAIL = 24
"""Its code in the convention of tail calls (see `abi.calls`); null where it makes none itself."""
FUNCTION_RECORD_DESCRIPTOR = 32

TAG_ENTRY_SIZE = 8
"""A tag in the context: a pointer to its tag record, whose address is its identity. Before the first tag of a module
that has any stands the pointer to its group's exception arena."""
TAG_RECORD_SIZE = 16

ARENA_SIZE = 32
"""The exceptions of a linked group: bytes in use, bytes from which on unreachable ones are looked for, the first, and
the number by which the runtime knows the arena."""
ARENA_USED = 0
ARENA_LIMIT = 8
ARENA_FIRST = 16
ARENA_IDENTITY = 24

EXCEPTION_ARENA = 0
"""An exception: its arena, the ones before and after it there, its tag record, whether anything but the throw itself
may refer to it (i64), its size in bytes, and its values in slots."""
EXCEPTION_PREVIOUS = 8
EXCEPTION_NEXT = 16
EXCEPTION_TAG = 24
EXCEPTION_ESCAPED = 32
EXCEPTION_BYTES = 40
EXCEPTION_VALUES = 48

HANDLER_OUTER = 0
"""A handler, in the frame of a function that catches: the handler around it, the one to be asked after it, how many
tags it catches, the exception that it was given, which calls of listeners it ends (an address: those that are deeper),
a jump buffer, and then the tag records, 0 for any."""
HANDLER_NEXT = 8
HANDLER_COUNT = 16
HANDLER_EXCEPTION = 24
HANDLER_DEPTH = 32
HANDLER_JUMP_BUFFER = 48
HANDLER_TAGS = 48 + 512
"""The C libraries' jump buffers take 200 bytes on x86-64 and up to 312 on AArch64."""

SEGMENT_SIZE = 16
"""A data or element segment: pointer to its bytes or references, then how many; 0 when it is dropped."""
SEGMENT_POINTER = 0
SEGMENT_LENGTH = 8

EXECUTION_CHECK = 0
"""In the execution context: a word that means nothing. Reading it is the check for a request to stop."""

# -- The record of a thread that runs guests; the signal handler works on it. ---------------------------------------

THREAD_ENTRY = 0
"""Pointer to the jump buffer of the innermost entry into guest code; null while the thread runs none."""
THREAD_EXIT_CODE = 8
"""Why the guest was left: a TrapKind or an EXIT_ code (i64)."""
THREAD_FAULT_ADDRESS = 16
THREAD_STACK_LOW = 24
"""Faults between this and the next are the thread's stack running out."""
THREAD_STACK_HIGH = 32
THREAD_FRAME_LIMIT = 40
"""The stack's highest address: the walk over frame pointers ends there."""
THREAD_FRAME_COUNT = 48
THREAD_LEFT_FRAME = 56
"""Address of the frame of the entry by which a guest was left last."""
THREAD_HOST_LIMIT = 64
"""The least stack pointer from which a host function is called: what is below would not suffice for Python."""
THREAD_CALLER = 72
"""The vmctx that the innermost entry was made with, set before each call of a host function."""
THREAD_EXCEPTION = 80
"""The Python exception (a reference of its own) that a host function or listener raised last, until it is taken."""
THREAD_THROWN = 88
"""An exception of a guest's: the one by which it was left, or that a host function lets its caller throw."""
THREAD_GUESTS_END = 96
"""While a host function runs: where on the stack the outermost entry is, above which are no guests; else null."""
THREAD_FRAMES = 104
THREAD_FRAME_CAPACITY = 64
THREAD_RECORD_SIZE = THREAD_FRAMES + 8 * THREAD_FRAME_CAPACITY


@unique
class RuntimeFunction(IntEnum):
    """Index in the table of runtime functions; LLVM signature in `RUNTIME_SIGNATURES`."""

    TRAP = 0
    MEMORY_GROW = 1
    MEMORY_COPY = 2
    MEMORY_FILL = 3
    MEMORY_INIT = 4
    TABLE_GROW = 5
    TABLE_COPY = 6
    TABLE_FILL = 7
    TABLE_INIT = 8
    LISTENER_BEFORE = 9
    LISTENER_AFTER = 10
    LISTENER_TAIL_CALL = 11
    HANDLERS = 12
    SET_JUMP = 13
    EXCEPTION_NEW = 14
    EXCEPTION_RELEASE = 15
    THROW = 16
    MEMORY_WAIT = 17
    MEMORY_NOTIFY = 18
    OBJECT_ALLOCATE = 19
    OBJECT_ALLOCATE_LARGE = 20
    ARRAY_ALLOCATE = 21
    ARRAY_FILL = 22
    BYTES_MOVE = 23


RUNTIME_SIGNATURES: dict[RuntimeFunction, tuple[str, tuple[str, ...]]] = {
    # trap(code): does not return
    RuntimeFunction.TRAP: ("void", ("i32",)),
    # memory_grow(memory record, pages) -> former pages or -1
    RuntimeFunction.MEMORY_GROW: ("i64", ("ptr", "i64")),
    # memory_copy(execution context, to record, from record, to, from, count): traps when out of bounds
    RuntimeFunction.MEMORY_COPY: ("void", ("ptr", "ptr", "ptr", "i64", "i64", "i64")),
    # memory_fill(execution context, record, to, byte, count)
    RuntimeFunction.MEMORY_FILL: ("void", ("ptr", "ptr", "i64", "i32", "i64")),
    # memory_init(execution context, record, segment, to, from, count)
    RuntimeFunction.MEMORY_INIT: ("void", ("ptr", "ptr", "ptr", "i64", "i64", "i64")),
    # table_grow(table record, elements, initial reference) -> former size or -1
    RuntimeFunction.TABLE_GROW: ("i64", ("ptr", "i64", "ptr")),
    # table_copy(execution context, to record, from record, to, from, count)
    RuntimeFunction.TABLE_COPY: ("void", ("ptr", "ptr", "ptr", "i64", "i64", "i64")),
    # table_fill(execution context, record, to, reference, count)
    RuntimeFunction.TABLE_FILL: ("void", ("ptr", "ptr", "i64", "ptr", "i64")),
    # table_init(execution context, record, segment, to, from, count)
    RuntimeFunction.TABLE_INIT: ("void", ("ptr", "ptr", "ptr", "i64", "i64", "i64")),
    # listener_before(vmctx, function index, pointer to argument slots)
    RuntimeFunction.LISTENER_BEFORE: ("void", ("ptr", "i32", "ptr")),
    # listener_after(vmctx, function index, pointer to result slots)
    RuntimeFunction.LISTENER_AFTER: ("void", ("ptr", "i32", "ptr")),
    # listener_tail_call(vmctx, function index, pointer to the slots of its call)
    RuntimeFunction.LISTENER_TAIL_CALL: ("void", ("ptr", "i32", "ptr")),
    # handlers() -> where the innermost handler of the innermost entry stands
    RuntimeFunction.HANDLERS: ("ptr", ()),
    # set_jump(jump buffer) -> 0, and, when it returns again, the number of the catch clause, from 1 on
    RuntimeFunction.SET_JUMP: ("i32", ("ptr",)),
    # exception_new(arena, tag record, bytes of values) -> exception
    RuntimeFunction.EXCEPTION_NEW: ("ptr", ("ptr", "ptr", "i64")),
    # exception_release(exception): it has been caught, and nothing refers to it unless it escaped
    RuntimeFunction.EXCEPTION_RELEASE: ("void", ("ptr",)),
    # throw(exception): does not return
    RuntimeFunction.THROW: ("void", ("ptr",)),
    # memory_wait(execution context, address, expected value, its width in bytes, nanoseconds)
    #     -> 0 woken, 1 not equal, 2 timed out
    RuntimeFunction.MEMORY_WAIT: ("i32", ("ptr", "ptr", "i64", "i32", "i64")),
    # memory_notify(address, most to wake) -> how many were woken
    RuntimeFunction.MEMORY_NOTIFY: ("i32", ("ptr", "i32")),
    # object_allocate(heap, class of cells) -> a free cell of the class
    RuntimeFunction.OBJECT_ALLOCATE: ("ptr", ("ptr", "i32")),
    # object_allocate_large(heap, bytes) -> room, all zero, for what is larger than a cell
    RuntimeFunction.OBJECT_ALLOCATE_LARGE: ("ptr", ("ptr", "i64")),
    # array_allocate(heap, descriptor, bytes of an element, length) -> an array, all zero
    RuntimeFunction.ARRAY_ALLOCATE: ("ptr", ("ptr", "ptr", "i64", "i64")),
    # array_fill(execution context, first element, pointer to the element's value, its bytes, count)
    RuntimeFunction.ARRAY_FILL: ("void", ("ptr", "ptr", "ptr", "i64", "i64")),
    # bytes_move(execution context, to, from, bytes): both are in bounds
    RuntimeFunction.BYTES_MOVE: ("void", ("ptr", "ptr", "ptr", "i64")),
}
"""Result and parameters of each; counts, offsets and indices are unsigned, widened to i64."""

MEMORY_GUARD_SIZE = 1 << 28
"""Inaccessible bytes behind the 4 GiB that a 32-bit index reaches: constant offsets below need no check."""

SLOT_SIZE = 8
"""Arguments and results cross between Python and guest code in slots of this size (a vector takes two)."""


@dataclass(frozen=True, slots=True)
class ContextLayout:
    """Where the arrays of one module's instances lie in their context.

    Attributes:
        memories: offset of entry 0 of the memory index space (`MEMORY_ENTRY_SIZE` each).
        tables: offset of entry 0 of the table index space (`TABLE_ENTRY_SIZE` each).
        global_cells: offset of the first global that the module defines (`GLOBAL_CELL_SIZE` each).
        global_imports: offset of the first imported global's pointer (`GLOBAL_POINTER_SIZE` each).
        function_imports: offset of the first imported function (`FUNCTION_IMPORT_SIZE` each).
        function_records: offset of function 0's record (`FUNCTION_RECORD_SIZE` each, imports first).
        data_segments: offset of data segment 0 (`SEGMENT_SIZE` each); likewise `element_segments`.
        exception_arena: offset of the pointer to it; the tags (`TAG_ENTRY_SIZE` each) follow.
        heap: offset of the pointer to the record of the heap (`abi.objects`), and behind it of the pointer to the
            descriptors of the module's types, by type index; only where `needs_descriptors`.
        size: of the whole context.
        imported_globals: how many globals are imported.
    """

    memories: int
    tables: int
    global_cells: int
    global_imports: int
    function_imports: int
    function_records: int
    data_segments: int
    element_segments: int
    exception_arena: int
    heap: int
    size: int
    imported_globals: int

    def memory(self, index: int) -> int:
        """Offset of memory `index`'s entry."""
        return self.memories + index * MEMORY_ENTRY_SIZE

    def table(self, index: int) -> int:
        """Offset of table `index`'s entry."""
        return self.tables + index * TABLE_ENTRY_SIZE

    def global_(self, index: int) -> tuple[int, bool]:
        """Offset for global `index`, and whether a pointer to the cell stands there instead of the cell."""
        if index < self.imported_globals:
            return self.global_imports + index * GLOBAL_POINTER_SIZE, True
        return self.global_cells + (index - self.imported_globals) * GLOBAL_CELL_SIZE, False

    def function_import(self, index: int) -> int:
        """Offset of imported function `index`."""
        return self.function_imports + index * FUNCTION_IMPORT_SIZE

    def function_record(self, index: int) -> int:
        """Offset of function `index`'s record."""
        return self.function_records + index * FUNCTION_RECORD_SIZE

    def data_segment(self, index: int) -> int:
        """Offset of data segment `index`."""
        return self.data_segments + index * SEGMENT_SIZE

    @property
    def descriptors(self) -> int:
        """Offset of the pointer to the descriptors of the module's types."""
        return self.heap + 8

    def element_segment(self, index: int) -> int:
        """Offset of element segment `index`."""
        return self.element_segments + index * SEGMENT_SIZE

    def tag(self, index: int) -> int:
        """Offset of tag `index`'s entry."""
        return self.exception_arena + TAG_ENTRY_SIZE * (1 + index)


def needs_descriptors(module: Module) -> bool:
    """Whether code can ask for more of a type than whether it is the same: objects have types, or types supertypes."""
    return any(
        defined.kind != "func" or not defined.final or defined.supertype is not None
        for defined in module.defined_types
    )


def context_layout(module: Module) -> ContextLayout:
    """Lay out the context of `module`'s instances."""
    imported_globals = len(module.imported(ExternKind.GLOBAL))
    sizes = (
        len(module.memories) * MEMORY_ENTRY_SIZE,
        len(module.globals) * GLOBAL_CELL_SIZE,
        len(module.tables) * TABLE_ENTRY_SIZE,
        imported_globals * GLOBAL_POINTER_SIZE,
        module.imported_function_count * FUNCTION_IMPORT_SIZE,
        len(module.data) * SEGMENT_SIZE,
        len(module.elements) * SEGMENT_SIZE,
        len(module.function_types) * FUNCTION_RECORD_SIZE,
        (1 + len(module.tag_types)) * TAG_ENTRY_SIZE if module.tag_types else 0,
        16 if needs_descriptors(module) else 0,
    )
    offsets = [CONTEXT_HEADER_SIZE]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    memories, cells, tables, global_imports, function_imports, data, elements, records, tags, heap, end = (
        offsets
    )
    return ContextLayout(
        memories=memories,
        tables=tables,
        global_cells=cells,
        global_imports=global_imports,
        function_imports=function_imports,
        function_records=records,
        data_segments=data,
        element_segments=elements,
        exception_arena=tags,
        heap=heap,
        size=end,
        imported_globals=imported_globals,
    )
