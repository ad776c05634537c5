"""Imports that this client provides: what is sent for them, and how calls of them are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2

from farcall.client.calls.call import Call
from farcall.client.errors import ArgumentError
from farcall.client.messages import VALUE_TYPES
from farcall.client.types import FunctionType, InstanceInfo, Module
from farcall.client.values import decode_value, encode_value
from farcall.proto.farcall.v1 import import_service_pb2 as messages
from farcall.proto.farcall.v1 import value_pb2

_MESSAGE_CHARACTERS = 2000
"""Of what an exception says that is told to the server."""


@dataclass(frozen=True, slots=True)
class ImportFunction:
    """A Python function with the WebAssembly type that it is meant for.

    An import of another type is refused with LinkError, instead of failing when it is called.
    """

    implementation: Callable[..., Any]
    type: FunctionType


Imports = Mapping[str, Mapping[str, Callable[..., Any] | ImportFunction]]
"""By the import's module name and its own: a function of this process, which gets the arguments as Python values, and
gives None for no result, the value for one, a sequence for several."""


class ProvidedImports:
    """The functions that a session provides."""

    def __init__(self, imports: Imports, module: Module) -> None:
        """Prepare them.

        Args:
            imports: what to provide.
            module: whose imports they are, with their types.

        Raises:
            TypeError: something is none.
        """
        self._types = {
            (entry.module, entry.name): entry.type
            for entry in module.imports
            if isinstance(entry.type, FunctionType)
        }
        self._functions: list[tuple[Callable[..., Any], FunctionType]] = []
        self.messages: list[messages.ProvidedFunction] = []
        for import_module, functions in imports.items():
            if not isinstance(functions, Mapping):
                raise TypeError(f"what is provided for {import_module!r} is no mapping: {functions!r}")
            for name, function in functions.items():
                self._add(import_module, name, function)

    def _add(self, import_module: str, name: str, function: object) -> None:
        message = messages.ProvidedFunction(import_module=import_module, import_name=name)
        # Of an import that the module does not have, or that is no function, the server says so, where it matters.
        type_ = self._types.get((import_module, name), FunctionType((), ()))
        if isinstance(function, ImportFunction):
            type_ = function.type
            message.type.CopyFrom(_type_message(type_))
            function = function.implementation
        if not callable(function):
            raise TypeError(f"what is provided for {import_module!r} {name!r} is no function: {function!r}")
        self._functions.append((function, type_))
        self.messages.append(message)

    def called(self, call: messages.ImportCall) -> tuple[Callable[..., Any], list[Any]]:
        """The function that is called, and its arguments."""
        function, _ = self._functions[call.function_index]
        return function, [decode_value(argument) for argument in call.arguments]

    def returned(self, call: messages.ImportCall, result: Any) -> messages.ProvideImportsRequest:
        """The answer for a call whose function returned; that it failed, where the result does not fit."""
        _, type_ = self._functions[call.function_index]
        try:
            values = _results(result, type_)
        except ArgumentError as error:
            return failed(call, error)
        outcome = messages.ImportOutcome(call_id=call.call_id)
        outcome.results.SetInParent()
        outcome.results.values.extend(values)
        return messages.ProvideImportsRequest(outcome=outcome)


def failed(call: messages.ImportCall, error: BaseException) -> messages.ProvideImportsRequest:
    """The answer for a call whose function raised."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    outcome = messages.ImportOutcome(call_id=call.call_id)
    outcome.error.code = code_pb2.ABORTED
    outcome.error.message = text[:_MESSAGE_CHARACTERS]
    return messages.ProvideImportsRequest(outcome=outcome)


def _results(result: Any, type_: FunctionType) -> list[value_pb2.Value]:
    wanted = type_.results
    if len(wanted) == 1:
        found: Sequence[Any] = (result,)
    elif not wanted and result is None:
        found = ()
    elif isinstance(result, Sequence) and not isinstance(result, str | bytes) and len(result) == len(wanted):
        found = result
    else:
        expected = f"a sequence of {len(wanted)} results" if wanted else "None, for it has no results,"
        raise ArgumentError(f"the function should return {expected} but returned {result!r}")
    return [
        encode_value(value, value_type, index)
        for index, (value, value_type) in enumerate(zip(found, wanted, strict=True))
    ]


_CODES = {value_type: code for code, value_type in VALUE_TYPES.items()}


def _type_message(type_: FunctionType) -> value_pb2.FunctionType:
    types = (*type_.parameters, *type_.results)
    message = value_pb2.FunctionType(
        parameters=[_code(name) for name in type_.parameters], results=[_code(name) for name in type_.results]
    )
    if any(name not in _CODES for name in types):
        message.parameter_names.extend(type_.parameters)
        message.result_names.extend(type_.results)
    return message


def _code(name: str) -> Any:
    return _CODES.get(name, value_pb2.VALUE_TYPE_REFERENCE)  # type: ignore[call-overload]


def provision(creation: Call[InstanceInfo], provided: ProvidedImports) -> messages.ProvideImportsRequest:
    """The first message of a session."""
    return messages.ProvideImportsRequest(
        provision=messages.Provision(creation=creation.request, functions=provided.messages)
    )
