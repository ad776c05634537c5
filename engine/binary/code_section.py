"""The code section (section 5.5.13). The instructions stay where they are, for validation to read."""

from __future__ import annotations

from array import array
from functools import cache

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.features import gated
from farcall.engine.binary.limits import MAXIMUM_BODY_SIZE, MAXIMUM_FUNCTIONS, MAXIMUM_LOCALS
from farcall.engine.binary.native_reading import is_worth_it, read_bodies
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.types import read_value_type
from farcall.engine.errors import MalformedModuleError, ModuleError, ModuleLimitError
from farcall.engine.instructions.instruction import Features
from farcall.engine.structure.defined_types import DefinedType
from farcall.engine.structure.packed import FunctionBodies
from farcall.engine.structure.types import FunctionType, ValueType

_LOCALS_OF_FORMAT = (1 << 32) - 1


def decode_code_section(reader: Reader, contents: Contents) -> None:
    """Read the functions' locals and where their code begins and ends."""
    first = contents.imported_functions
    last = first + reader.count("function bodies", MAXIMUM_FUNCTIONS)
    index = first
    while index < last:
        if is_worth_it(last - index):
            done = _locate_bodies(reader, contents, index, last)
            index += done
            if index == last:
                break
        contents.located.extend(_read_body(reader, contents, index))
        index += 1


def check_function_count(contents: Contents, end: int) -> None:
    """Check that every function has a body and every body a function; `end` is where the module ends."""
    declared = len(contents.function_types) - contents.imported_functions
    if declared != contents.body_count:
        reason = "function and code section have inconsistent lengths"
        raise MalformedModuleError(f"{reason}: {declared} declared, {contents.body_count} bodies", end)


def function_bodies(reader: Reader, contents: Contents) -> FunctionBodies:
    """The bodies that were located."""
    read_locals = LocalsReader(reader.source, reader.types).read
    return FunctionBodies(
        contents.located, contents.imported_functions, tuple(contents.function_types), read_locals
    )


class LocalsReader:
    """Reads the declared locals of a body again, when they are asked for."""

    def __init__(self, source: bytes, types: list[DefinedType]) -> None:
        self._source = source
        self._types = types

    def read(self, position: int) -> tuple[tuple[int, ValueType], ...]:
        """The runs of locals that are declared at a position."""
        reader = Reader(self._source, position)
        reader.types = self._types
        return _read_locals(reader)


def _locate_bodies(reader: Reader, contents: Contents, index: int, last: int) -> int:
    """Locate the bodies from function `index` on as far as they are as usual, and return how many that are."""
    types = contents.function_types[index:last]
    count_of = [_parameter_count(reader, type_index) for type_index in range(len(reader.types))]
    known = len(count_of)
    counts = array("I", [count_of[type_index] if type_index < known else 0 for type_index in types])
    # Bodies without a function, which are refused in the end, count as those of type 0.
    counts.extend([_parameter_count(reader, 0)] * (last - index - len(counts)))
    done = read_bodies(
        reader.source, reader.position, counts, _local_types(reader.disabled), contents.located
    )
    if done:
        reader.position = contents.located[-1]
    return done


@cache
def _local_types(disabled: Features) -> bytes:
    """Which bytes are the type of a local."""
    types = bytearray(256)
    for code in range(256):
        try:
            gated(read_value_type, disabled)(bytes([code]), 0)
        except (ModuleError, IndexError):  # none, or one of several bytes
            continue
        types[code] = 1
    return bytes(types)


def _read_body(reader: Reader, contents: Contents, index: int) -> tuple[int, int, int]:
    """Where a body's locals begin, its code, and where it ends."""
    size_position = reader.position
    size = reader.u32()
    start = reader.position
    end = reader.skip(size, "a function body") + size
    if size > MAXIMUM_BODY_SIZE:
        reason = f"a function body of {size} bytes, at most {MAXIMUM_BODY_SIZE} are possible"
        raise ModuleLimitError(reason, size_position, index)
    reader.position = start
    runs = _read_locals(reader)
    type_index = contents.function_types[index] if index < len(contents.function_types) else 0
    total = _parameter_count(reader, type_index) + sum([count for count, _ in runs])
    if total > MAXIMUM_LOCALS:
        reason = f"too many locals: {total} with parameters, at most {MAXIMUM_LOCALS} are possible"
        raise ModuleLimitError(reason, start, index)
    code = reader.position
    if code >= end:
        raise MalformedModuleError("section size mismatch: the function body ends in its locals", code, index)
    reader.position = end
    return start, code, end


def _parameter_count(reader: Reader, type_index: int) -> int:
    """Of a function type; 0 where validation will refuse the index."""
    if type_index >= len(reader.types):
        return 0
    composite = reader.types[type_index].composite
    return len(composite.parameters) if isinstance(composite, FunctionType) else 0


def _read_locals(reader: Reader) -> tuple[tuple[int, ValueType], ...]:
    runs = []
    total = 0
    for _ in range(reader.u32()):
        start = reader.position
        count = reader.u32()
        value = reader.value_type()
        total += count
        if total > _LOCALS_OF_FORMAT:
            raise MalformedModuleError(f"too many locals: {total}", start)
        if count:
            runs.append((count, value))
    return tuple(runs)
