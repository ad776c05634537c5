"""Machine code of the heap of structures and arrays: the allocator's slow path, sweeping, and arrays as wholes."""

from __future__ import annotations

from farcall.engine.abi import objects as abi
from farcall.engine.abi.layout import RUNTIME_SIGNATURES, RuntimeFunction
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.collection import collection_text
from farcall.engine.runtime.native.traps import address

LARGE_CLASS = len(abi.CELL_SIZES)
"""Stands for a class of cells where the runtime is asked for a large object."""


def objects_text(space: int, size: int, block_table: int, handler: int) -> str:
    """LLVM IR of all of it.

    Parameters:
        space: address of the space for all heaps; `size` its bytes.
        block_table: address of a word (i32) for each block of the space: 1 more than the index of the block at
            which the cells begin that it holds; 0 if it holds none.
        handler: where the Python function is that makes room in a heap.
    """
    return "\n".join(
        (_allocation(handler), _sweeping(), collection_text(space, size, block_table), _arrays())
    )


def _signature(function: RuntimeFunction, names: str) -> str:
    result, parameters = RUNTIME_SIGNATURES[function]
    pairs = ", ".join(f"{kind} %{name}" for kind, name in zip(parameters, names.split(), strict=True))
    return f"define {result} @{function.name.lower()}({pairs}) #0"


def _select(name: str, index: str, values: tuple[int, ...], kind: str) -> str:
    """A function from an index to a constant: objects have no data sections, so it is code."""
    cases = "\n".join(f"case{i}:\n  ret {kind} {value}" for i, value in enumerate(values))
    labels = " ".join(f"i64 {i}, label %case{i}" for i in range(len(values)))
    return f"""
define internal {kind} @{name}(i64 %{index}) #0 {{
  switch i64 %{index}, label %none [ {labels} ]
none:
  unreachable
{cases}
}}
"""


def _allocation(handler: int) -> str:
    classes = _class_of_size()
    return f"""
{_select("size_of_class", "class", abi.CELL_SIZES, "i64")}
{classes}

; A free cell of a class without asking the runtime: null if there is none.
define ptr @next_cell(ptr %heap, i64 %class) #0 {{
start:
  %size = call i64 @size_of_class(i64 %class)
  %offset = mul i64 %class, {abi.HEAP_CLASS_SIZE}
  %entry = getelementptr i8, ptr %heap, i64 %offset
  %limit.at = getelementptr i8, ptr %entry, i64 {abi.HEAP_LIMIT}
  br label %try
try:
  %cursor = load ptr, ptr %entry
  %limit = load ptr, ptr %limit.at
  %next = getelementptr i8, ptr %cursor, i64 %size
  %room = icmp ule ptr %next, %limit
  br i1 %room, label %take, label %search
take:
  store ptr %next, ptr %entry
  ret ptr %cursor
search:
  %found = call i1 @next_run(ptr %entry, i64 %size)
  br i1 %found, label %try, label %none
none:
  ret ptr null
}}

{_signature(RuntimeFunction.OBJECT_ALLOCATE, "heap class")} {{
start:
  %nothing = alloca i64, align 8
  %wide = zext i32 %class to i64
  br label %try
try:
  %cell = call ptr @next_cell(ptr %heap, i64 %wide)
  %found = icmp ne ptr %cell, null
  br i1 %found, label %take, label %ask
take:
  ret ptr %cell
ask:
  %identity.at = getelementptr i8, ptr %heap, i64 {abi.HEAP_IDENTITY}
  %identity = load i64, ptr %identity.at
  call void @call_host(ptr {address(handler)}, i64 %identity, i64 %wide, ptr %nothing)
  br label %try
}}

{_signature(RuntimeFunction.OBJECT_ALLOCATE_LARGE, "heap bytes")} {{
  %request = alloca i64, align 8
  store i64 %bytes, ptr %request
  %identity.at = getelementptr i8, ptr %heap, i64 {abi.HEAP_IDENTITY}
  %identity = load i64, ptr %identity.at
  call void @call_host(ptr {address(handler)}, i64 %identity, i64 {LARGE_CLASS}, ptr %request)
  %place = load ptr, ptr %request
  ret ptr %place
}}
"""


def _class_of_size() -> str:
    """The class of a size below the largest cell's: by comparisons, the nearest first."""
    lines = ["define internal i64 @class_of_size(i64 %size) #0 {", "  br label %test0"]
    for index, size in enumerate(abi.CELL_SIZES):
        lines += [
            f"test{index}:",
            f"  %fits{index} = icmp ule i64 %size, {size}",
            f"  br i1 %fits{index}, label %found{index}, label %test{index + 1}",
            f"found{index}:",
            f"  ret i64 {index}",
        ]
    lines += [f"test{len(abi.CELL_SIZES)}:", "  unreachable", "}"]
    return "\n".join(lines)


def _sweeping() -> str:
    """Cells whose objects were not reached are free: their headers are cleared as they are found."""
    return f"""
; Find the next free cells of a class, and let the cursor and the limit enclose them.
define internal i1 @next_run(ptr %entry, i64 %size) #0 {{
start:
  %limit.at = getelementptr i8, ptr %entry, i64 {abi.HEAP_LIMIT}
  %block.at = getelementptr i8, ptr %entry, i64 {abi.HEAP_BLOCK}
  %position.at = getelementptr i8, ptr %entry, i64 {abi.HEAP_POSITION}
  %first.block = load ptr, ptr %block.at
  %first.position = load ptr, ptr %position.at
  br label %each.block
each.block:
  %block = phi ptr [ %first.block, %start ], [ %next.block, %onward ]
  %from = phi ptr [ %first.position, %start ], [ %next.first, %onward ]
  %none = icmp eq ptr %block, null
  br i1 %none, label %exhausted, label %look
exhausted:
  store ptr null, ptr %block.at
  store ptr null, ptr %entry
  store ptr null, ptr %limit.at
  ret i1 false
look:
  %cells.at = getelementptr i8, ptr %block, i64 {abi.BLOCK_CELLS}
  %cells = load i64, ptr %cells.at
  %extent = mul i64 %cells, %size
  %first = getelementptr i8, ptr %block, i64 {abi.BLOCK_FIRST}
  %end = getelementptr i8, ptr %first, i64 %extent
  br label %skip
skip:
  %cell = phi ptr [ %from, %look ], [ %after, %skip.one ]
  %over = icmp uge ptr %cell, %end
  br i1 %over, label %onward, label %test
test:
  %mark = call i8 @mark_of(ptr %block, ptr %cell)
  %marked = icmp ne i8 %mark, 0
  br i1 %marked, label %skip.one, label %run
skip.one:
  %after = getelementptr i8, ptr %cell, i64 %size
  br label %skip
onward:
  %next.at = getelementptr i8, ptr %block, i64 {abi.BLOCK_NEXT}
  %next.block = load ptr, ptr %next.at
  %next.first = getelementptr i8, ptr %next.block, i64 {abi.BLOCK_FIRST}
  br label %each.block
run:
  %free = phi ptr [ %cell, %test ], [ %following, %run.test ]
  store ptr null, ptr %free
  %following = getelementptr i8, ptr %free, i64 %size
  %at.end = icmp uge ptr %following, %end
  br i1 %at.end, label %found, label %run.test
run.test:
  %run.mark = call i8 @mark_of(ptr %block, ptr %following)
  %run.marked = icmp ne i8 %run.mark, 0
  br i1 %run.marked, label %found, label %run
found:
  store ptr %cell, ptr %entry
  store ptr %following, ptr %limit.at
  store ptr %block, ptr %block.at
  store ptr %following, ptr %position.at
  ret i1 true
}}

define internal i8 @mark_of(ptr %block, ptr %cell) #0 {{
  %at = call ptr @mark_at(ptr %block, ptr %cell)
  %mark = load i8, ptr %at
  ret i8 %mark
}}

define internal ptr @mark_at(ptr %block, ptr %cell) #0 {{
  %low = ptrtoint ptr %block to i64
  %high = ptrtoint ptr %cell to i64
  %distance = sub i64 %high, %low
  %granule = lshr i64 %distance, {abi.GRANULE_SHIFT}
  %at = getelementptr i8, ptr %block, i64 %granule
  ret ptr %at
}}

; Clear the headers of all free cells of a class that have not been found yet: none of them may be taken for an object.
define void @finish_sweep(ptr %heap, i64 %class) #0 {{
start:
  %size = call i64 @size_of_class(i64 %class)
  %offset = mul i64 %class, {abi.HEAP_CLASS_SIZE}
  %entry = getelementptr i8, ptr %heap, i64 %offset
  br label %again
again:
  %found = call i1 @next_run(ptr %entry, i64 %size)
  br i1 %found, label %again, label %done
done:
  ret void
}}
"""


def _arrays() -> str:
    fill = address(c_library.address_of("memset"))
    move = address(c_library.address_of("memmove"))
    return f"""
{_signature(RuntimeFunction.ARRAY_ALLOCATE, "heap descriptor size length")} {{
start:
  %content = mul i64 %size, %length
  %bytes = add i64 %content, {abi.ARRAY_ELEMENTS}
  %is.small = icmp ule i64 %bytes, {abi.LARGEST_CELL}
  br i1 %is.small, label %small, label %large
small:
  %class = call i64 @class_of_size(i64 %bytes)
  %class.narrow = trunc i64 %class to i32
  %cell = call ptr @object_allocate(ptr %heap, i32 %class.narrow)
  %small.elements = getelementptr i8, ptr %cell, i64 {abi.ARRAY_ELEMENTS}
  %filled = call ptr {fill}(ptr %small.elements, i32 0, i64 %content)
  br label %made
large:
  %place = call ptr @object_allocate_large(ptr %heap, i64 %bytes)
  br label %made
made:
  %array = phi ptr [ %cell, %small ], [ %place, %large ]
  store ptr %descriptor, ptr %array
  %length.at = getelementptr i8, ptr %array, i64 {abi.ARRAY_LENGTH}
  %length.narrow = trunc i64 %length to i32
  store i32 %length.narrow, ptr %length.at
  ret ptr %array
}}

; The value goes to the first element, and from there as often as fits: each copy doubles what is there.
{_signature(RuntimeFunction.ARRAY_FILL, "execution first value size count")} {{
start:
  %total = mul i64 %size, %count
  %empty = icmp eq i64 %total, 0
  br i1 %empty, label %done, label %one
one:
  %ignored.first = call ptr {move}(ptr %first, ptr %value, i64 %size)
  br label %head
head:
  %filled = phi i64 [ %size, %one ], [ %now, %body ]
  %left = sub i64 %total, %filled
  %finished = icmp eq i64 %left, 0
  br i1 %finished, label %done, label %body
body:
  %poll = load volatile i64, ptr %execution
  %some = call i64 @llvm.umin.i64(i64 %filled, i64 %left)
  %part = call i64 @llvm.umin.i64(i64 %some, i64 {1 << 20})
  %to = getelementptr i8, ptr %first, i64 %filled
  %ignored = call ptr {move}(ptr %to, ptr %first, i64 %part)
  %now = add i64 %filled, %part
  br label %head
done:
  ret void
}}

{_signature(RuntimeFunction.BYTES_MOVE, "execution to from count")} {{
  call void @move_bytes(ptr %execution, ptr %to, ptr %from, i64 %count)
  ret void
}}
"""
