"""Machine code of loops over all functions of a module: a large one has tens of thousands, and Python takes its time.

What they read and write is laid out as `abi.code_table`, `abi.layout` and `codegen.function_table` say.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping

from farcall.engine.abi import layout
from farcall.engine.abi.code_table import CELL_CODE, CELLS, CHUNK_FUNCTIONS, CHUNK_SIZE, STUB_SIZE

_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_WriteStubs = ctypes.CFUNCTYPE(None, _POINTER, _NUMBER)
_WriteTypes = ctypes.CFUNCTYPE(None, _POINTER, _NUMBER, _POINTER, _POINTER, _POINTER)
_WriteCodes = ctypes.CFUNCTYPE(_NUMBER, _POINTER, _NUMBER, _NUMBER, _POINTER, _POINTER, _NUMBER)
_WriteStubAddresses = ctypes.CFUNCTYPE(None, _POINTER, _NUMBER, _POINTER)
_CountWorse = ctypes.CFUNCTYPE(_NUMBER, _POINTER, _NUMBER, _NUMBER, _POINTER, _NUMBER, _NUMBER)
_SetCodes = ctypes.CFUNCTYPE(
    _NUMBER, _POINTER, _POINTER, _NUMBER, _NUMBER, _POINTER, _POINTER, _NUMBER, _NUMBER
)


def _loop(body: str, counting: str = "") -> str:
    """A loop for `%i` from 0 to `%count`; `body` ends with a branch to `%after`, and `end` is what comes then.

    Parameters:
        counting: the name of a truth value, which dominates `after`: `%counted` is how often it was true.
    """
    counted = """
  %counted = phi i64 [ 0, %start ], [ %more, %after ]"""
    count = f"""
  %one = zext i1 {counting} to i64
  %more = add i64 %counted, %one"""
    return f"""
start:
  br label %head
head:
  %i = phi i64 [ 0, %start ], [ %next, %after ]{counted if counting else ""}
  %done = icmp uge i64 %i, %count
  br i1 %done, label %end, label %body
body:{body}
after:{count if counting else ""}
  %next = add i64 %i, 1
  br label %head
end:"""


def _in_table(position: str, part: int) -> str:
    """`%place`: from a table's begin to the stub of `position`, or to what lies `part` bytes from it."""
    return f"""
  %chunk = udiv i64 {position}, {CHUNK_FUNCTIONS}
  %rest = urem i64 {position}, {CHUNK_FUNCTIONS}
  %chunk.offset = mul i64 %chunk, {CHUNK_SIZE}
  %rest.offset = mul i64 %rest, {STUB_SIZE}
  %in.chunk = add i64 %rest.offset, {STUB_SIZE + part}
  %place = add i64 %chunk.offset, %in.chunk"""


_RECORD = f"""
  %record.offset = mul i64 %i, {layout.FUNCTION_RECORD_SIZE}
  %record = getelementptr i8, ptr %records, i64 %record.offset"""

_INDEX = """
  %index.at = getelementptr i32, ptr %indices, i64 %i
  %index.narrow = load i32, ptr %index.at
  %index = zext i32 %index.narrow to i64"""

_CODE = """
  %offset.at = getelementptr i64, ptr %offsets, i64 %i
  %offset = load i64, ptr %offset.at
  %code = add i64 %base, %offset"""

_POSITION = f"""{_INDEX}
  %position = sub i64 %index, %first"""

_LEVEL = """
  %level.at = getelementptr i8, ptr %levels, i64 %position
  %level.narrow = load i8, ptr %level.at
  %level.there = zext i8 %level.narrow to i64
  %worse = icmp ult i64 %level.there, %level"""


def _field(name: str, offset: int, kind: str) -> str:
    """Store `%name` in the record."""
    return f"""
  %record.{name} = getelementptr i8, ptr %record, i64 {offset}
  store {kind} %{name}, ptr %record.{name}"""


def _write_types() -> str:
    body = f"""{_RECORD}
  %type.at = getelementptr i32, ptr %types, i64 %i
  %type.narrow = load i32, ptr %type.at
  %type = zext i32 %type.narrow to i64
  %id.at = getelementptr i32, ptr %ids, i64 %type
  %id = load i32, ptr %id.at{_field("id", layout.FUNCTION_RECORD_TYPE_ID, "i32")}
  %index = trunc i64 %i to i32{_field("index", layout.FUNCTION_RECORD_INDEX, "i32")}
  %descriptor.at = getelementptr i64, ptr %descriptors, i64 %type
  %descriptor = load i64, ptr %descriptor.at{_field("descriptor", layout.FUNCTION_RECORD_DESCRIPTOR, "i64")}
  br label %after"""
    return f"""
define void @write_types(ptr %records, i64 %count, ptr %types, ptr %ids, ptr %descriptors) #0 {{{_loop(body)}
  ret void
}}
"""


def _write_codes() -> str:
    body = f"""{_INDEX}
  %inside = icmp ult i64 %index, %functions
  br i1 %inside, label %write, label %after
write:
  %record.offset = mul i64 %index, {layout.FUNCTION_RECORD_SIZE}
  %record = getelementptr i8, ptr %records, i64 %record.offset{_CODE}
  %record.code = getelementptr i8, ptr %record, i64 {layout.FUNCTION_RECORD_CODE}
  store i64 %code, ptr %record.code
  br label %after"""
    return f"""
define i64 @write_codes(
  ptr %records, i64 %functions, i64 %base, ptr %indices, ptr %offsets, i64 %count
) #0 {{{_loop(body, "%inside")}
  ret i64 %counted
}}
"""


def _write_stub_addresses() -> str:
    body = f"""{_RECORD}{_in_table("%i", 0)}
  %code = getelementptr i8, ptr %table, i64 %place{_field("code", layout.FUNCTION_RECORD_CODE, "ptr")}
  br label %after"""
    return f"""
define void @write_stub_addresses(ptr %records, i64 %count, ptr %table) #0 {{{_loop(body)}
  ret void
}}
"""


def _count_worse() -> str:
    body = f"""{_POSITION}
  %inside = icmp ult i64 %position, %functions
  br i1 %inside, label %look, label %outside
look:{_LEVEL}
  br label %after"""
    return f"""
define i64 @count_worse(
  ptr %levels, i64 %functions, i64 %level, ptr %indices, i64 %count, i64 %first
) #0 {{{_loop(body, "%worse")}
  ret i64 %counted
outside:
  ret i64 -1
}}
"""


def _set_codes() -> str:
    body = f"""{_POSITION}{_LEVEL}
  br i1 %worse, label %set, label %after
set:{_in_table("%position", CELLS + CELL_CODE)}{_CODE}
  %cell = getelementptr i8, ptr %table, i64 %place
  store atomic i64 %code, ptr %cell release, align 8
  %level.new = trunc i64 %level to i8
  store i8 %level.new, ptr %level.at
  br label %after"""
    return f"""
define i64 @set_codes(
  ptr %table, ptr %levels, i64 %level, i64 %base, ptr %indices, ptr %offsets, i64 %count, i64 %first
) #0 {{{_loop(body, "%worse")}
  ret i64 %counted
}}
"""


def function_loops_text() -> str:
    """LLVM IR of all of them, but for `write_stubs` (`native.stubs`)."""
    return "\n".join((_write_types(), _write_codes(), _write_stub_addresses(), _count_worse(), _set_codes()))


def _address(numbers: array[int]) -> int:
    return numbers.buffer_info()[0]


def _address_of_bytes(content: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(content)) if content else 0


class FunctionLoops:
    """The loops, as Python calls them. Whoever does keeps others from changing the same tables."""

    def __init__(self, addresses: Mapping[str, int]) -> None:
        """Use code whose symbols lie at these addresses, and stay there."""
        self._write_stubs = _WriteStubs(addresses["write_stubs"])
        self._write_types = _WriteTypes(addresses["write_types"])
        self._write_codes = _WriteCodes(addresses["write_codes"])
        self._write_stub_addresses = _WriteStubAddresses(addresses["write_stub_addresses"])
        self._count_worse = _CountWorse(addresses["count_worse"])
        self._set_codes = _SetCodes(addresses["set_codes"])

    def write_stubs(self, chunk: int, functions: int) -> None:
        """Write the stubs of the first functions of a chunk, and their cells: they have no code. All is writable."""
        self._write_stubs(chunk, functions)

    def write_types(self, records: bytearray, types: array[int], ids: int, descriptors: int) -> None:
        """Write what function records say of types, and functions' indices.

        Parameters:
            types: array of "I": the type index of each function.
            ids: address of the types' ids (i32).
            descriptors: address of pointers to their descriptors.
        """
        self._write_types(_address_of_bytes(records), len(types), _address(types), ids, descriptors)

    def write_codes(self, records: bytearray, base: int, indices: array[int], offsets: array[int]) -> int:
        """Write where functions' code is into their records.

        Parameters:
            base: address from which `offsets` (array of "Q") count.
            indices: array of "I": in the module's function index space.

        Returns:
            How many are the module's, and were written.
        """
        count = len(records) // layout.FUNCTION_RECORD_SIZE
        return int(
            self._write_codes(
                _address_of_bytes(records), count, base, _address(indices), _address(offsets), len(indices)
            )
        )

    def write_stub_addresses(self, records: bytearray, first: int, table: int) -> None:
        """Write the stubs in a code table into the function records from `first` on, as their code."""
        count = len(records) // layout.FUNCTION_RECORD_SIZE - first
        self._write_stub_addresses(
            _address_of_bytes(records) + first * layout.FUNCTION_RECORD_SIZE, count, table
        )

    def count_worse(self, levels: bytearray, level: int, indices: array[int], first: int) -> int:
        """How many of some functions have code of a level below `level`; -1 where one is none of the module's.

        Parameters:
            levels: of the functions that the module defines.
            indices: array of "I": in the module's function index space.
            first: index of the first that it defines.
        """
        return int(
            self._count_worse(
                _address_of_bytes(levels), len(levels), level, _address(indices), len(indices), first
            )
        )

    def set_codes(
        self,
        table: int,
        levels: bytearray,
        level: int,
        base: int,
        indices: array[int],
        offsets: array[int],
        first: int,
    ) -> int:
        """Give functions code, but those that have code of that level already: guests run it from now on.

        Parameters:
            table: address of the code table.
            levels: as for `count_worse`, which has seen that all is in order.
            base: address from which `offsets` (array of "Q") count.

        Returns:
            How many have new code.
        """
        return int(
            self._set_codes(
                table,
                _address_of_bytes(levels),
                level,
                base,
                _address(indices),
                _address(offsets),
                len(indices),
                first,
            )
        )
