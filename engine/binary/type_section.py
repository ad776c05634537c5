"""The type section (section 5.5.4)."""

from __future__ import annotations

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import MAXIMUM_PARAMETERS, MAXIMUM_RESULTS, MAXIMUM_TYPES
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.types import read_value_type
from farcall.engine.errors import MalformedModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import Feature
from farcall.engine.structure.types import FunctionType, ValueType

_FUNCTION = 0x60
_CUSTOM_DESCRIPTORS = frozenset({0x4C, 0x4D})  # describes, descriptor
_GARBAGE_COLLECTION = frozenset({0x4E, 0x4F, 0x50, 0x5E, 0x5F})  # rec, sub final, sub, array, struct


def decode_type_section(reader: Reader, contents: Contents) -> None:
    """Read the function types; equal ones become one object."""
    interned: dict[FunctionType, FunctionType] = {}
    for _ in range(reader.count("types", MAXIMUM_TYPES)):
        function_type = _read_function_type(reader)
        contents.types.append(interned.setdefault(function_type, function_type))


def _read_function_type(reader: Reader) -> FunctionType:
    start = reader.position
    form = reader.byte()
    if form in _GARBAGE_COLLECTION:
        raise UnsupportedFeatureError("gc", start)
    if form >= 0x80:  # forms are signed integers of 7 bits
        raise MalformedModuleError("integer representation too long: the form of a type has one byte", start)
    if form in _CUSTOM_DESCRIPTORS:
        raise UnsupportedFeatureError("custom-descriptors", start)
    if form != _FUNCTION:
        raise MalformedModuleError(f"malformed definition type: {form:#04x}", start)
    parameters = _read_types(reader, "parameters", MAXIMUM_PARAMETERS)
    results_start = reader.position
    results = _read_types(reader, "results", MAXIMUM_RESULTS)
    if len(results) > 1:
        reader.require(Feature.MULTI_VALUE, results_start)
    return FunctionType(parameters, results)


def _read_types(reader: Reader, what: str, limit: int) -> tuple[ValueType, ...]:
    return tuple([reader.read(read_value_type) for _ in range(reader.count(what, limit))])
