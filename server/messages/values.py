"""Values between messages and the engine.

The engine takes Python ints and floats. A Python float is 64 bits wide, and widening an f32 alters signalling
NaNs; therefore functions that have f32 among their types are called with bit patterns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from farcall import engine
from farcall.engine import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I31,
    I32,
    I64,
    V128,
    EngineBug,
    Function,
    ObjectReference,
    ReferenceType,
    ValueType,
    WasmException,
)
from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.proto.farcall.v1 import value_pb2
from farcall.server.errors import RequestError, argument_failure
from farcall.server.messages.types import value_type_message

_SHOWN = 100


class ReferenceTable(Protocol):
    """What references mean in a store."""

    def function(self, reference: value_pb2.FunctionReference) -> Function | None:
        """The function that a message names. Raises LookupError with what is wrong."""

    def function_reference(self, function: Function) -> value_pb2.FunctionReference:
        """The message for a function."""

    def external(self, handle: int) -> int:
        """The object for a caller's number, always the same one. Raises RequestError over the limit."""


# -- Bit patterns ------------------------------------------------------------------------------------------------------

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_BINARY32 = struct.Struct("<f")
_BINARY64 = struct.Struct("<d")

_MASK32 = 0xFFFF_FFFF
_MASK64 = 0xFFFF_FFFF_FFFF_FFFF
_CANONICAL_NAN32 = 0x7FC0_0000
_EXPONENT32 = 0x7F80_0000


def f32_bits(value: float) -> int:
    """The bit pattern of the f32 in a message's `float` field, which Python holds as a wider float."""
    return int(_U32.unpack(_BINARY32.pack(value))[0])


def f64_bits(value: float) -> int:
    """The bit pattern of an f64."""
    return int(_U64.unpack(_BINARY64.pack(value))[0])


def _i32_from_bits(bits: int) -> int:
    bits &= _MASK32
    return bits - (bits >> 31 << 32)


def _i64_from_bits(bits: int) -> int:
    return bits - (bits >> 63 << 64)


def _f64_from_bits(bits: int) -> float:
    return float(_BINARY64.unpack(_U64.pack(bits))[0])


_TO_BITS: dict[str, Callable[[Any], int]] = {
    "i32": lambda value: value & _MASK32,
    "i64": lambda value: value & _MASK64,
    "f32": f32_bits,
    "f32_bits": lambda value: value,
    "f64": f64_bits,
}


def write_f32_bits(message: value_pb2.Value, bits: int) -> None:
    """Store an f32: as a number, or by its bits if it is a NaN that conversions might alter."""
    bits &= _MASK32
    if bits & _EXPONENT32 == _EXPONENT32 and bits & 0x7F_FFFF and bits != _CANONICAL_NAN32:
        message.f32_bits = bits
    else:
        message.f32 = _BINARY32.unpack(_U32.pack(bits))[0]


def _write_i32_bits(message: value_pb2.Value, bits: int) -> None:
    message.i32 = _i32_from_bits(bits)


def _write_i64_bits(message: value_pb2.Value, bits: int) -> None:
    message.i64 = _i64_from_bits(bits)


def _write_f64_bits(message: value_pb2.Value, bits: int) -> None:
    message.f64 = _f64_from_bits(bits)


_BITS_WRITERS: dict[ValueType, Callable[[value_pb2.Value, int], None]] = {
    I32: _write_i32_bits,
    I64: _write_i64_bits,
    F32: write_f32_bits,
    F64: _write_f64_bits,
}


def write_slots(value_type: ValueType, slots: Iterator[int], message: value_pb2.Value) -> None:
    """Store a number or vector that is given by its bit pattern: the next slot, or two of a vector."""
    if value_type is V128:
        message.v128 = struct.pack("<2Q", next(slots), next(slots))
    else:
        _BITS_WRITERS[value_type](message, next(slots))


# -- Messages to values ------------------------------------------------------------------------------------------------

_KINDS: dict[ValueType, str] = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}


def kind_of(value_type: ValueType) -> str:
    """The field of `Value` that carries a type."""
    kind = _KINDS.get(value_type)
    if kind is not None:
        return kind
    if not isinstance(value_type, ReferenceType):
        raise EngineBug(f"no message carries a {value_type}")
    return _REFERENCE_KINDS.get(value_type.top, "reference")


_REFERENCE_KINDS = {"func": "funcref", "extern": "externref"}


def _is_null(message: value_pb2.Value) -> bool:
    """Whether it is the null reference of whatever type."""
    reference = message.reference
    return message.WhichOneof("kind") == "reference" and not (reference.HasField("i31") or reference.object)


def read_value(  # noqa: PLR0911 - a case each
    message: value_pb2.Value, wanted: ValueType, index: int | None, references: ReferenceTable
) -> Any:
    """The Python value of a message, of which `wanted` is wanted.

    Parameters:
        index: position among the arguments, for the error.

    Raises:
        RequestError: it is of another type.
    """
    given, kind = message.WhichOneof("kind"), kind_of(wanted)
    if given == "f32_bits" and wanted is F32:
        return _BINARY32.unpack(_U32.pack(message.f32_bits))[0]
    if kind_is_reference(wanted) and _is_null(message):
        return None
    if given != kind:
        raise _wrong_value(message, wanted, index, f"wanted {wanted}, given {describe_value(message)}")
    match kind:
        case "reference":
            return _read_i31(message, wanted, index)
        case "funcref":
            try:
                return references.function(message.funcref)
            except LookupError as error:
                raise _wrong_value(message, wanted, index, str(error.args[0])) from None
        case "externref":
            return (
                references.external(message.externref.handle)
                if message.externref.HasField("handle")
                else None
            )
        case "v128":
            return _vector(message, index)
        case _:
            return getattr(message, kind)


def kind_is_reference(value_type: ValueType) -> bool:
    """Whether a type is a reference type other than the two that have a field of their own for null."""
    return value_type.is_reference and value_type not in (FUNCREF, EXTERNREF)


def _read_i31(message: value_pb2.Value, wanted: ValueType, index: int | None) -> I31:
    if not message.reference.HasField("i31"):
        reason = f"wanted {wanted}: of references to what guests make, only null and i31 can be arguments"
        raise _wrong_value(message, wanted, index, reason)
    try:
        return I31(message.reference.i31)
    except engine.ArgumentError as error:
        raise _wrong_value(message, wanted, index, str(error)) from None


def read_slots(message: value_pb2.Value, wanted: ValueType, index: int) -> tuple[int, ...]:
    """The bit pattern of a number, or the two halves of a vector's. Raises RequestError as `read_value` does."""
    given = message.WhichOneof("kind")
    if given != kind_of(wanted) and not (given == "f32_bits" and wanted is F32):
        raise _wrong_value(message, wanted, index, f"wanted {wanted}, given {describe_value(message)}")
    if given == "v128":
        low, high = struct.unpack("<2Q", _vector(message, index))
        return low, high
    return (_TO_BITS[given](getattr(message, given)),)


def _vector(message: value_pb2.Value, index: int | None) -> bytes:
    """The bytes of a v128. Raises RequestError unless they are as many as it has."""
    count = len(message.v128)
    if count != V128.size:
        raise _wrong_value(message, V128, index, f"a v128 has {V128.size} bytes, given {count}")
    return message.v128


def _wrong_value(message: value_pb2.Value, wanted: ValueType, index: int | None, reason: str) -> RequestError:
    where = "the value" if index is None else f"argument {index}"
    return argument_failure(
        f"{where}: {reason}",
        index=index,
        wanted_type=value_type_message(wanted),
        wanted=wanted.name,
        given=describe_value(message),
    )


def wrong_count(given: int, wanted: Sequence[ValueType]) -> RequestError:
    """The number of arguments is wrong."""
    types = ", ".join(value_type.name for value_type in wanted)
    count = _arguments(len(wanted))
    return argument_failure(
        f"{count} wanted ({types}), {given} given" if wanted else f"{count} wanted, {given} given",
        index=None,
        wanted_type=None,
        wanted=count,
        given=_arguments(given),
    )


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def describe_value(message: value_pb2.Value) -> str:
    """A value in words, its type first."""
    kind = message.WhichOneof("kind")
    match kind:
        case None:
            return "no value"
        case "funcref":
            reference = message.funcref
            text = f"{reference.instance}!{reference.function}" if reference.instance else "null"
        case "externref":
            text = str(message.externref.handle) if message.externref.HasField("handle") else "null"
        case "v128":
            text = message.v128.hex()
        case "reference":
            data = message.reference
            text = f"i31 {data.i31}" if data.HasField("i31") else data.object or "null"
        case "f32_bits":
            kind, text = "f32", f"{message.f32_bits:#010x}"
        case _:
            text = repr(getattr(message, kind))
    return f"{kind} {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}"


# -- Values to messages ------------------------------------------------------------------------------------------------


def write_value(
    value_type: ValueType, value: Any, message: value_pb2.Value, references: ReferenceTable
) -> None:
    """Store a Python value in a message."""
    kind = kind_of(value_type)
    if isinstance(value, I31 | ObjectReference):
        kind = "reference"  # also where it is seen as an externref
    match kind:
        case "reference":
            _write_data_reference(value, message.reference)
        case "funcref":
            message.funcref.SetInParent()
            if value is not None:
                message.funcref.CopyFrom(references.function_reference(value))
        case "externref":
            message.externref.SetInParent()
            if value is not None:
                message.externref.handle = value
        case _:
            setattr(message, kind, value)


def _write_data_reference(value: Any, message: value_pb2.DataReference) -> None:
    message.SetInParent()
    if isinstance(value, WasmException):
        raise RequestError(
            details.ERROR_REASON_FAILED_PRECONDITION,
            "the result is a reference to an exception, which has no meaning outside of the guest",
        )
    if isinstance(value, I31):
        message.i31 = value
    elif isinstance(value, ObjectReference):
        message.object = str(value.type)
    elif value is not None:
        message.object = "a value of the embedder's"


def number_messages(types: Sequence[ValueType], values: Sequence[Any]) -> list[value_pb2.Value]:
    """Values of which only numbers are told: of a reference, nothing is set."""
    messages = []
    for value_type, value in zip(types, values, strict=True):
        message = value_pb2.Value()
        if value_type in _KINDS:
            setattr(message, kind_of(value_type), value)
        messages.append(message)
    return messages


# -- Columns -----------------------------------------------------------------------------------------------------------

COLUMN_TYPES = frozenset({I32, I64, F32, F64})
"""Types that columns can carry."""


def read_columns(
    columns: Sequence[value_pb2.ValueColumn], call_count: int, wanted: Sequence[ValueType]
) -> list[Sequence[Any]]:
    """The values of columns, one a parameter, each with a value for every call.

    Raises:
        RequestError: the number, type or length of a column is wrong.
    """
    if len(columns) != len(wanted):
        raise wrong_count(len(columns), wanted)
    values = []
    for index, (column, value_type) in enumerate(zip(columns, wanted, strict=True)):
        given = column.WhichOneof("kind")
        if given != value_type.name:
            raise _wrong_column(index, value_type, f"a column of {given}" if given else "no column")
        entries = getattr(column, given).values
        if len(entries) != call_count:
            raise _wrong_column(index, value_type, f"{len(entries)} values for {call_count} calls")
        values.append(entries)
    return values


def _wrong_column(index: int, wanted: ValueType, given: str) -> RequestError:
    return argument_failure(
        f"argument {index}: a column of {wanted} wanted, {given} given",
        index=index,
        wanted_type=value_type_message(wanted),
        wanted=wanted.name,
        given=given,
    )


def write_columns(
    values: Sequence[Sequence[Any]],
    types: Sequence[ValueType],
    columns: RepeatedCompositeFieldContainer[value_pb2.ValueColumn],
) -> None:
    """Store columns, one a result, with a value for every call."""
    for value_type, entries in zip(types, values, strict=True):
        column = getattr(columns.add(), value_type.name)
        column.SetInParent()
        column.values.extend(entries)


_BIT_TYPES = COLUMN_TYPES | {V128}


def is_exact_only_as_bits(function_type: engine.FunctionType) -> bool:
    """Whether calls must use bit patterns: f32 among the types, and no references."""
    types = (*function_type.parameters, *function_type.results)
    return F32 in types and _BIT_TYPES.issuperset(types)
