"""Machine code of the collector of structures and arrays: what can be reached is marked.

The collector does not move objects. Roots are given as ranges of words; the native stack, with the registers that a
called function must keep, is one more range. A word of a root, or a field that is a reference, counts as a reference
to whatever object of the heap it points to or into, so none has to be trusted.
"""

from __future__ import annotations

from farcall.engine.abi import objects as abi
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.traps import address

# What `collect` is given: words.
REQUEST_HEAP = 0
"""The heap's record."""
REQUEST_ROOTS = 8
"""Pointer to pairs of words: a range's address, and how many words it has."""
REQUEST_ROOT_COUNT = 16
REQUEST_STACK_END = 24
"""Where the stack's part ends that is searched; null for none of it."""
REQUEST_MARK_STACK = 32
"""Room for a pointer to every object of the heap."""
REQUEST_HANDLES = 40
"""Where not null: a byte for each handle of the embedder's values, set for those that are found."""
REQUEST_HANDLE_COUNT = 48
REQUEST_FUNCTIONS = 56
"""Where the references to functions and exceptions go that objects hold, neighbours that are equal once."""
REQUEST_FUNCTION_COUNT = 64
REQUEST_FUNCTION_CAPACITY = 72
"""How many of them there is room for; 0 if they are not wanted."""
REQUEST_PENDING = 80
"""How many objects on the mark stack have not been looked into."""
REQUEST_SIZE = 96

_JUMP_BUFFER_SIZE = 512


def collection_text(space: int, size: int, block_table: int) -> str:
    """LLVM IR of `collect` and what it needs; `mark_at` is among what sweeping needs, too.

    Parameters:
        space: address of the space for all heaps; `size` its bytes.
        block_table: see `objects.objects_text`.
    """
    return _marking(space, size, block_table) + _collection()


def _marking(space: int, size: int, block_table: int) -> str:
    return f"""
; A word that may be a reference: mark the object that it refers to, if it does and that is not marked.
define internal void @mark_word(ptr %request, i64 %word) #0 {{
start:
  %distance = sub i64 %word, {space}
  %inside = icmp ult i64 %distance, {size}
  br i1 %inside, label %block, label %other
block:
  %index = lshr i64 %distance, {abi.BLOCK_SHIFT}
  %head.at = getelementptr i32, ptr {address(block_table)}, i64 %index
  %head = load i32, ptr %head.at
  %used = icmp ne i32 %head, 0
  br i1 %used, label %owner, label %done
owner:
  %head.wide = zext i32 %head to i64
  %head.index = sub i64 %head.wide, 1
  %head.offset = shl i64 %head.index, {abi.BLOCK_SHIFT}
  %block.address = add i64 %head.offset, {space}
  %block.pointer = inttoptr i64 %block.address to ptr
  %own.heap = load ptr, ptr %block.pointer
  %wanted.heap = load ptr, ptr %request
  %mine = icmp eq ptr %own.heap, %wanted.heap
  br i1 %mine, label %cell, label %done
cell:
  %within = sub i64 %word, %block.address
  %behind = icmp uge i64 %within, {abi.BLOCK_FIRST}
  br i1 %behind, label %divide, label %done
divide:
  %cell.size.at = getelementptr i8, ptr %block.pointer, i64 {abi.BLOCK_CELL_SIZE}
  %cell.size = load i64, ptr %cell.size.at
  %cells.at = getelementptr i8, ptr %block.pointer, i64 {abi.BLOCK_CELLS}
  %cells = load i64, ptr %cells.at
  %offset = sub i64 %within, {abi.BLOCK_FIRST}
  %offset.narrow = trunc i64 %offset to i32
  %size.narrow = trunc i64 %cell.size to i32
  %number.narrow = udiv i32 %offset.narrow, %size.narrow
  %number = zext i32 %number.narrow to i64
  %valid = icmp ult i64 %number, %cells
  br i1 %valid, label %object, label %done
object:
  %cell.offset = mul i64 %number, %cell.size
  %first = getelementptr i8, ptr %block.pointer, i64 {abi.BLOCK_FIRST}
  %object.pointer = getelementptr i8, ptr %first, i64 %cell.offset
  %descriptor = load ptr, ptr %object.pointer
  %free = icmp eq ptr %descriptor, null
  br i1 %free, label %done, label %mark
mark:
  %mark.at = call ptr @mark_at(ptr %block.pointer, ptr %object.pointer)
  %before = load i8, ptr %mark.at
  %known = icmp ne i8 %before, 0
  br i1 %known, label %done, label %fresh
fresh:
  store i8 1, ptr %mark.at
  %live.at = getelementptr i8, ptr %block.pointer, i64 {abi.BLOCK_LIVE}
  %live = load i64, ptr %live.at
  %more = add i64 %live, 1
  store i64 %more, ptr %live.at
  %references.at = getelementptr i8, ptr %descriptor, i64 {abi.DESCRIPTOR_REFERENCES}
  %references = load i32, ptr %references.at
  %leaf = icmp eq i32 %references, 0
  br i1 %leaf, label %done, label %push
push:
  %stack.at = getelementptr i8, ptr %request, i64 {REQUEST_MARK_STACK}
  %stack = load ptr, ptr %stack.at
  %pending.at = getelementptr i8, ptr %request, i64 {REQUEST_PENDING}
  %pending = load i64, ptr %pending.at
  %top = getelementptr ptr, ptr %stack, i64 %pending
  store ptr %object.pointer, ptr %top
  %grown = add i64 %pending, 1
  store i64 %grown, ptr %pending.at
  ret void
other:
  %tag = and i64 %word, {abi.TAG_MASK}
  %is.host = icmp eq i64 %tag, {abi.HOST_TAG}
  br i1 %is.host, label %host, label %not.host
host:
  %handles.at = getelementptr i8, ptr %request, i64 {REQUEST_HANDLES}
  %handles = load ptr, ptr %handles.at
  %handle = lshr i64 %word, {abi.HOST_SHIFT}
  %handle.count.at = getelementptr i8, ptr %request, i64 {REQUEST_HANDLE_COUNT}
  %handle.count = load i64, ptr %handle.count.at
  %handle.known = icmp ult i64 %handle, %handle.count
  br i1 %handle.known, label %host.mark, label %done
host.mark:
  %handle.at = getelementptr i8, ptr %handles, i64 %handle
  store i8 1, ptr %handle.at
  ret void
not.host:
  %untagged = icmp eq i64 %tag, 0
  %something = icmp ne i64 %word, 0
  %function = and i1 %untagged, %something
  %capacity.at = getelementptr i8, ptr %request, i64 {REQUEST_FUNCTION_CAPACITY}
  %capacity = load i64, ptr %capacity.at
  %count.at = getelementptr i8, ptr %request, i64 {REQUEST_FUNCTION_COUNT}
  %count = load i64, ptr %count.at
  %space.left = icmp ult i64 %count, %capacity
  %wanted = and i1 %function, %space.left
  br i1 %wanted, label %note, label %done
note:
  %functions.at = getelementptr i8, ptr %request, i64 {REQUEST_FUNCTIONS}
  %functions = load ptr, ptr %functions.at
  %place = getelementptr i64, ptr %functions, i64 %count
  %previous = getelementptr i64, ptr %place, i64 -1
  %last = load i64, ptr %previous
  %same = icmp eq i64 %last, %word
  br i1 %same, label %done, label %append
append:
  store i64 %word, ptr %place
  %count.more = add i64 %count, 1
  store i64 %count.more, ptr %count.at
  ret void
done:
  ret void
}}

define internal void @mark_range(ptr %request, ptr %first, i64 %words) #0 {{
start:
  br label %head
head:
  %index = phi i64 [ 0, %start ], [ %next, %body ]
  %go = icmp ult i64 %index, %words
  br i1 %go, label %body, label %done
body:
  %at = getelementptr i64, ptr %first, i64 %index
  %word = load i64, ptr %at
  call void @mark_word(ptr %request, i64 %word)
  %next = add i64 %index, 1
  br label %head
done:
  ret void
}}

; Look into the objects on the mark stack until none is left.
define internal void @drain(ptr %request) #0 {{
start:
  %pending.at = getelementptr i8, ptr %request, i64 {REQUEST_PENDING}
  %stack.at = getelementptr i8, ptr %request, i64 {REQUEST_MARK_STACK}
  %stack = load ptr, ptr %stack.at
  br label %head
head:
  %pending = load i64, ptr %pending.at
  %empty = icmp eq i64 %pending, 0
  br i1 %empty, label %done, label %pop
done:
  ret void
pop:
  %less = sub i64 %pending, 1
  store i64 %less, ptr %pending.at
  %top = getelementptr ptr, ptr %stack, i64 %less
  %object = load ptr, ptr %top
  %descriptor = load ptr, ptr %object
  %kind.at = getelementptr i8, ptr %descriptor, i64 {abi.DESCRIPTOR_KIND}
  %kind = load i32, ptr %kind.at
  %is.array = icmp eq i32 %kind, {abi.DescriptorKind.ARRAY.value}
  br i1 %is.array, label %array, label %struct
array:
  %length.at = getelementptr i8, ptr %object, i64 {abi.ARRAY_LENGTH}
  %length = load i32, ptr %length.at
  %length.wide = zext i32 %length to i64
  %elements = getelementptr i8, ptr %object, i64 {abi.ARRAY_ELEMENTS}
  call void @mark_range(ptr %request, ptr %elements, i64 %length.wide)
  br label %head
struct:
  %references.at = getelementptr i8, ptr %descriptor, i64 {abi.DESCRIPTOR_REFERENCES}
  %references = load i32, ptr %references.at
  %offsets.at = getelementptr i8, ptr %descriptor, i64 {abi.DESCRIPTOR_OFFSETS}
  %offsets = load ptr, ptr %offsets.at
  br label %field
field:
  %number = phi i32 [ 0, %struct ], [ %following, %field ]
  %offset.at = getelementptr i32, ptr %offsets, i32 %number
  %offset = load i32, ptr %offset.at
  %field.at = getelementptr i8, ptr %object, i32 %offset
  %word = load i64, ptr %field.at
  call void @mark_word(ptr %request, i64 %word)
  %following = add i32 %number, 1
  %more = icmp ult i32 %following, %references
  br i1 %more, label %field, label %head
}}
"""


def _collection() -> str:
    set_jump = address(c_library.address_of("_setjmp"))
    return f"""
; Mark what can be reached from the roots and from the stack. The jump buffer gets the registers in which callers may
; have references; with it begins the part of the stack that is searched.
define void @collect(ptr %request) #0 {{
start:
  %buffer = alloca [{_JUMP_BUFFER_SIZE} x i8], align 16
  %roots.at = getelementptr i8, ptr %request, i64 {REQUEST_ROOTS}
  %roots = load ptr, ptr %roots.at
  %count.at = getelementptr i8, ptr %request, i64 {REQUEST_ROOT_COUNT}
  %count = load i64, ptr %count.at
  ; Words of roots and of the stack can be anything: what they hold beside objects is not noted.
  %capacity.at = getelementptr i8, ptr %request, i64 {REQUEST_FUNCTION_CAPACITY}
  %capacity = load i64, ptr %capacity.at
  br label %head
head:
  %index = phi i64 [ 0, %start ], [ %next, %range ]
  %go = icmp ult i64 %index, %count
  br i1 %go, label %range, label %stack
range:
  %pair = mul i64 %index, 16
  %pair.at = getelementptr i8, ptr %roots, i64 %pair
  %first = load ptr, ptr %pair.at
  %words.at = getelementptr i8, ptr %pair.at, i64 8
  %words = load i64, ptr %words.at
  store i64 0, ptr %capacity.at
  call void @mark_range(ptr %request, ptr %first, i64 %words)
  store i64 %capacity, ptr %capacity.at
  call void @drain(ptr %request)
  %next = add i64 %index, 1
  br label %head
stack:
  %end.at = getelementptr i8, ptr %request, i64 {REQUEST_STACK_END}
  %end = load i64, ptr %end.at
  %none = icmp eq i64 %end, 0
  br i1 %none, label %done, label %search
search:
  %saved = call i32 {set_jump}(ptr %buffer) returns_twice
  %lowest = ptrtoint ptr %buffer to i64
  %bytes = sub i64 %end, %lowest
  %stack.words = lshr i64 %bytes, 3
  store i64 0, ptr %capacity.at
  call void @mark_range(ptr %request, ptr %buffer, i64 %stack.words)
  store i64 %capacity, ptr %capacity.at
  call void @drain(ptr %request)
  br label %done
done:
  ret void
}}
"""
