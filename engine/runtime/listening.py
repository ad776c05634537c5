"""Telling listeners of guest function calls.

Compiled code reports calls and returns of instances that have listeners. A call that does not return is reported
by whoever leaves the guest: each thread keeps the calls that have begun and not ended.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farcall.engine.interface import TailCallListener
from farcall.engine.runtime.exception_arena import python_exception
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.values import ValueConverter

if TYPE_CHECKING:
    from farcall.engine.interface import FunctionListener
    from farcall.engine.runtime.references import References
    from farcall.engine.structure.module import Module


@dataclass(frozen=True, slots=True)
class ListenedFunction:
    """What listeners are told of a function (`farcall.engine.interface.FunctionDefinition`)."""

    module: Module
    index: int
    name: str | None


class Reporter:
    """Reports the calls of one instance to its listeners."""

    def __init__(
        self, module: Module, listeners: tuple[FunctionListener, ...], references: References
    ) -> None:
        self._module = module
        self._listeners = listeners
        self._references = references
        self._functions: dict[int, tuple[ListenedFunction, ValueConverter, ValueConverter]] = {}

    def _function(self, index: int) -> tuple[ListenedFunction, ValueConverter, ValueConverter]:
        entry = self._functions.get(index)
        if entry is None:
            type = self._module.function_type(index)
            definition = ListenedFunction(self._module, index, self._module.function_name(index))
            entry = self._functions[index] = (
                definition,
                ValueConverter(type.parameters, self._references),
                ValueConverter(type.results, self._references),
            )
        return entry

    def before(self, index: int, slots: int) -> None:
        """A call begins."""
        definition, parameters, _results = self._function(index)
        arguments = parameters.unpack(ctypes.string_at(slots, parameters.size))
        _calls().append(_Call(self, definition, slots))
        for listener in self._listeners:
            listener.before(definition, arguments)

    def after(self, index: int, slots: int) -> None:
        """It returns."""
        definition, _parameters, results = self._function(index)
        values = results.unpack(ctypes.string_at(slots, results.size))
        _calls().pop()
        for listener in self._listeners:
            listener.after(definition, values)

    def tail_call(self, index: int) -> None:
        """Another function's call takes its place."""
        definition, _parameters, _results = self._function(index)
        _calls().pop()
        for listener in self._listeners:
            if isinstance(listener, TailCallListener):
                listener.tail_call(definition)

    def abort(self, definition: ListenedFunction, error: BaseException) -> None:
        """It will not return."""
        failure: BaseException | None = None
        for listener in self._listeners:
            try:
                listener.abort(definition, error)
            except BaseException as raised:  # the other listeners are to be told all the same
                failure = failure or raised
        if failure is not None:
            raise failure


@dataclass(frozen=True, slots=True)
class _Call:
    reporter: Reporter
    definition: ListenedFunction
    slots: int


_thread = threading.local()
_reporters: weakref.WeakValueDictionary[int, Reporter] = weakref.WeakValueDictionary()


def _calls() -> list[_Call]:
    calls: list[_Call] | None = getattr(_thread, "calls", None)
    if calls is None:
        calls = _thread.calls = []
    return calls


def add_reporter(identity: int, reporter: Reporter) -> None:
    """Calls of the instance with that identity go to `reporter`, which the instance keeps."""
    native_runtime().listen()
    _reporters[identity] = reporter


def remove_reporter(identity: int) -> None:
    """The instance is gone."""
    _reporters.pop(identity, None)


def abort(error: BaseException) -> None:
    """Report the calls that ended with the guest that this thread has just left.

    They are those whose slots lie deeper in the native stack than the entry into the guest. An exception of a
    listener takes the place of `error`, once all have been told.
    """
    if getattr(_thread, "calls", None):
        _abort_calls(error, native_runtime().left_frame())


def _ends(depth: int) -> bool:
    """Whether calls lie deeper in the stack than `depth`."""
    calls: list[_Call] | None = getattr(_thread, "calls", None)
    return bool(calls and calls[-1].slots < depth)


def _abort_calls(error: BaseException, depth: int) -> None:
    calls = _calls()
    failure: BaseException | None = None
    while _ends(depth):
        call = calls.pop()
        try:
            call.reporter.abort(call.definition, error)
        except BaseException as raised:  # the other calls are to be reported all the same
            failure = failure or raised
    if failure is not None:
        raise failure from error


def _before(identity: int, index: int, slots: int) -> None:
    _reporters[identity].before(index, slots)


def _after(identity: int, index: int, slots: int) -> None:
    _reporters[identity].after(index, slots)


def _tail_call(identity: int, index: int, _slots: int) -> None:
    _reporters[identity].tail_call(index)


def _unwind(exception: int, _index: int, depth: int) -> None:
    """An exception is about to be caught: report the calls that end with it, those deeper in the stack than `depth`."""
    if _ends(depth):
        _abort_calls(python_exception(exception), depth)


def install() -> None:
    """Connect compiled code's reports to this module."""
    native_runtime().handle("before", _before)
    native_runtime().handle("after", _after)
    native_runtime().handle("tail_call", _tail_call)
    native_runtime().handle("unwind", _unwind)
