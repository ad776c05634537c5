"""The code section (section 5.5.13). The instructions stay where they are, for validation to read."""

from __future__ import annotations

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import MAXIMUM_BODY_SIZE, MAXIMUM_FUNCTIONS, MAXIMUM_LOCALS
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError, ModuleLimitError
from farcall.engine.structure.module import FunctionBody
from farcall.engine.structure.types import FunctionType, ValueType

_LOCALS_OF_FORMAT = (1 << 32) - 1


def decode_code_section(reader: Reader, contents: Contents) -> None:
    """Read the functions' locals and where their code begins and ends."""
    first = contents.imported_functions
    for index in range(first, first + reader.count("function bodies", MAXIMUM_FUNCTIONS)):
        contents.functions.append(_read_body(reader, contents, index))


def check_function_count(contents: Contents, end: int) -> None:
    """Check that every function has a body and every body a function; `end` is where the module ends."""
    declared = len(contents.function_types) - contents.imported_functions
    if declared != len(contents.functions):
        reason = "function and code section have inconsistent lengths"
        raise MalformedModuleError(f"{reason}: {declared} declared, {len(contents.functions)} bodies", end)


def _read_body(reader: Reader, contents: Contents, index: int) -> FunctionBody:
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
    return FunctionBody(index, type_index, runs, code, end)


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
