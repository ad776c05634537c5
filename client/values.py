"""Values of Python as messages, and back.

i32 and i64 are ints in the signed range, f32 and f64 floats, v128 16 bytes, funcref a `FunctionReference` or None,
externref a number of the caller's choice or None. Whatever does not fit is refused here, with the error
that the server would send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar, cast

from farcall.client.errors import ArgumentError
from farcall.client.floats import f32_bits, f32_from_bits
from farcall.client.types import (
    AnyValueType,
    Argument,
    FunctionReference,
    ObjectReference,
    ReferenceType,
    Results,
    Value,
    ValueType,
)
from farcall.proto.farcall.v1 import invocation_service_pb2 as invocation_messages
from farcall.proto.farcall.v1 import value_pb2 as messages

MessageT = TypeVar("MessageT")

_F32_LIMIT = 3.4028235677973366e38
"""What is nearer to zero than this rounds to a finite f32."""

_VECTOR_BYTES = 16

Fields = dict[str, Any]
"""What a `Value` is made of. protobuf makes messages from such in a third of the time that `Value`s take."""


def _encode_i32(value: Argument) -> Fields:
    return {"i32": _present(value)}


def _encode_i64(value: Argument) -> Fields:
    return {"i64": _present(value)}


def _encode_f32(value: Argument) -> Fields:
    if -_F32_LIMIT < value < _F32_LIMIT:
        return {"f32": value}
    return {"f32_bits": f32_bits(value)}  # infinities, NaNs with their payload; OverflowError for the rest


def _encode_f64(value: Argument) -> Fields:
    return {"f64": _present(value)}


def _present(value: Argument) -> Argument:
    """To protobuf, None says that a field is not set."""
    if value is None:
        raise TypeError
    return value


def _encode_funcref(value: Argument) -> Fields:
    if value is None:
        return {"funcref": {}}
    reference: FunctionReference = value if isinstance(value, FunctionReference) else value.reference
    return {"funcref": {"instance": reference.instance, "function": reference.function}}


def _encode_externref(value: Argument) -> Fields:
    return {"externref": {} if value is None else {"handle": value}}


def _encode_exnref(value: Argument) -> Fields:
    if value is not None:
        raise TypeError
    return {"reference": {}}


def _encode_reference(value: Argument) -> Fields:
    """A reference of a type that has no name of its own: null, a function, or an i31."""
    if value is None:
        return {"reference": {}}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"reference": {"i31": value}}
    return _encode_funcref(value)


def _encode_v128(value: Argument) -> Fields:
    if not isinstance(value, bytes | bytearray) or len(value) != _VECTOR_BYTES:
        raise TypeError
    return {"v128": bytes(value)}


_ENCODERS: dict[AnyValueType, Callable[[Argument], Fields]] = {
    ValueType.I32: _encode_i32,
    ValueType.I64: _encode_i64,
    ValueType.F32: _encode_f32,
    ValueType.F64: _encode_f64,
    ValueType.V128: _encode_v128,
    ValueType.FUNCREF: _encode_funcref,
    ValueType.EXTERNREF: _encode_externref,
    ValueType.EXNREF: _encode_exnref,
}

_REFUSALS = (TypeError, ValueError, OverflowError, AttributeError)
"""What an encoder, or protobuf under it, raises for a value that does not fit."""

_WANTED = {
    ValueType.I32: "an int from -2**31 to 2**31 - 1",
    ValueType.I64: "an int from -2**63 to 2**63 - 1",
    ValueType.F32: "a number in the range of f32",
    ValueType.F64: "a number in the range of f64",
    ValueType.V128: "16 bytes",
    ValueType.FUNCREF: "a function of an instance, or None",
    ValueType.EXTERNREF: "an int from 0 to 2**64 - 1, or None",
    ValueType.EXNREF: "None: exceptions stay in their guest",
}


def _encoder(wanted: AnyValueType) -> Callable[[Argument], Fields]:
    return _encode_reference if isinstance(wanted, ReferenceType) else _ENCODERS[wanted]


def encode_value(value: Argument, wanted: AnyValueType, index: int | None = None) -> messages.Value:
    """One value, of which `wanted` is wanted; `index` is its position among arguments.

    Raises:
        ArgumentError: it does not fit.
    """
    try:
        return messages.Value(**_encoder(wanted)(value))
    except _REFUSALS:
        raise _refusal(value, wanted, index) from None


def _refusal(value: object, wanted: AnyValueType, index: int | None) -> ArgumentError:
    given = f"{type(value).__name__} {_shortened(repr(value))}"
    where = "" if index is None else f"argument {index}: "
    possible = _WANTED[wanted] if isinstance(wanted, ValueType) else "None, an int as an i31, or a function"
    message = f"{where}wanted {wanted} ({possible}), given {given}"
    return ArgumentError(message, index=index, wanted=str(wanted), given=given)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


_READERS: dict[str | None, Callable[[messages.Value], Value]] = {
    "i32": lambda message: message.i32,
    "i64": lambda message: message.i64,
    "f32": lambda message: message.f32,
    "f64": lambda message: message.f64,
    "v128": lambda message: message.v128,
    "f32_bits": lambda message: f32_from_bits(message.f32_bits),
    "funcref": lambda message: _decode_funcref(message.funcref),
    "externref": lambda message: message.externref.handle if message.externref.HasField("handle") else None,
    "reference": lambda message: _decode_reference(message.reference),
}


def _decode_reference(message: messages.DataReference) -> int | ObjectReference | None:
    if message.HasField("i31"):
        return message.i31
    return ObjectReference(message.object) if message.object else None


def _decode_funcref(message: messages.FunctionReference) -> FunctionReference | None:
    if not message.instance and not message.function and not message.HasField("function_index"):
        return None
    index = message.function_index if message.HasField("function_index") else None
    return FunctionReference(message.instance, message.function, index)


def decode_value(message: messages.Value) -> Value:
    """The value in a message, by the type that the message says."""
    return _READERS[message.WhichOneof("kind")](message)


def decode_number(message: messages.Value) -> int | float | bytes | None:
    """The number in a message, or None where there is none."""
    value = _READERS[message.WhichOneof("kind")](message) if message.WhichOneof("kind") else None
    return value if isinstance(value, int | float | bytes) else None


def decode_results(results: Sequence[messages.Value]) -> Results:
    """What a function returned: None for no result, the value for one, a tuple for several."""
    if len(results) == 1:
        message = results[0]
        return _READERS[message.WhichOneof("kind")](message)
    return tuple(decode_value(message) for message in results) if results else None


class ArgumentEncoder:
    """Encodes the arguments of one function's calls; what depends on the function only is worked out once."""

    __slots__ = ("_encoders", "parameters")

    def __init__(self, parameters: Sequence[AnyValueType]) -> None:
        self.parameters = tuple(parameters)
        self._encoders = tuple(_encoder(parameter) for parameter in parameters)

    def message(
        self, kind: Callable[..., MessageT], arguments: Sequence[Argument], instance: str, function: str
    ) -> MessageT:
        """The message of that kind for one call.

        Raises:
            ArgumentError: wrong number, type or range of arguments.
        """
        if len(arguments) != len(self._encoders):
            raise self._wrong_number(len(arguments))
        try:
            fields = [encode(value) for encode, value in zip(self._encoders, arguments, strict=True)]
            return kind(instance=instance, function=function, arguments=fields)
        except _REFUSALS:
            self.check(arguments)
            raise

    def check(self, arguments: Sequence[Argument]) -> None:
        """Raises ArgumentError for the first argument that does not fit."""
        if len(arguments) != len(self.parameters):
            raise self._wrong_number(len(arguments))
        for index, (wanted, value) in enumerate(zip(self.parameters, arguments, strict=True)):
            encode_value(value, wanted, index)

    def _wrong_number(self, given: int) -> ArgumentError:
        wanted_text, given_text = _count(len(self.parameters)), _count(given)
        return ArgumentError(
            f"wanted {wanted_text} ({', '.join(self.parameters)}), given {given_text}",
            wanted=wanted_text,
            given=given_text,
        )

    def check_call(self, arguments: Sequence[Argument], position: int) -> None:
        """The same for one call of many, whose position stands in the message."""
        try:
            self.check(arguments)
        except ArgumentError as error:
            raise ArgumentError(
                f"call {position}: {error}", index=error.index, wanted=error.wanted, given=error.given
            ) from None

    def encode_columns(self, calls: Sequence[Sequence[Argument]], first: int) -> list[messages.ValueColumn]:
        """The arguments of many calls, a column a parameter; for parameters that are all numbers.

        Raises:
            ArgumentError: wrong number, type or range; the message names the call, counted from `first`.
        """
        count = len(self.parameters)
        try:
            if all(len(arguments) == count for arguments in calls):
                columns = zip(*calls, strict=True) if count else ()
                return [
                    _COLUMNS[parameter](column)
                    for parameter, column in zip(self.parameters, columns, strict=True)
                ]
        except _REFUSALS:
            pass
        for position, arguments in enumerate(calls, first):
            self.check_call(arguments, position)
        raise AssertionError("a column was refused, but no value of it")


def _count(number: int) -> str:
    return "1 argument" if number == 1 else f"{number} arguments"


def _f32_column(values: Iterable[Argument]) -> messages.ValueColumn:
    column = tuple(values)
    if not all(-_F32_LIMIT < value < _F32_LIMIT for value in column):
        for value in column:
            f32_bits(
                value
            )  # OverflowError where a finite value is too large, which protobuf would make infinite
    return messages.ValueColumn(f32=messages.F32Column(values=column))


_COLUMNS: dict[AnyValueType, Callable[[Iterable[Argument]], messages.ValueColumn]] = {
    ValueType.I32: lambda values: messages.ValueColumn(i32=messages.I32Column(values=values)),
    ValueType.I64: lambda values: messages.ValueColumn(i64=messages.I64Column(values=values)),
    ValueType.F32: _f32_column,
    ValueType.F64: lambda values: messages.ValueColumn(f64=messages.F64Column(values=values)),
}

COLUMN_TYPES = frozenset(_COLUMNS)
"""The types that columns can have."""


def decode_columns(message: invocation_messages.ResultColumns, call_count: int) -> list[Results]:
    """What each of many calls returned, in the form of `decode_results`; for a call that failed, anything."""
    columns = [getattr(column, cast(str, column.WhichOneof("kind"))).values for column in message.results]
    if len(columns) == 1:
        return list(chain.from_iterable(columns))
    return list(zip(*columns, strict=True)) if columns else [None] * call_count
