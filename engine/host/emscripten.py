"""What modules of Emscripten's compiler import from "env" for `setjmp`: `invoke_*`, for any signature, and `longjmp`.

A call between whose beginning and end a jump may come goes through the host: `invoke_vii` calls the function of that
index in the table. A jump leaves it as an exception of the host's, which ends there: the stack pointer is put back, and
`setThrew` tells the guest, which looks whether the jump was to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from farcall.engine.abi.traps import TrapKind
from farcall.engine.errors import ExportNotFoundError, HostFailure, Trap
from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.linking import Extern
from farcall.engine.structure.module import Import
from farcall.engine.structure.types import I32, FunctionType, ValueType

_TABLE = "__indirect_function_table"
# By which names they are exported has changed over the years.
_STACK_SAVE = ("emscripten_stack_get_current", "stackSave")
_STACK_RESTORE = ("_emscripten_stack_restore", "stackRestore")
_SET_THREW = ("setThrew", "_setThrew")
_JUMPS = ("_emscripten_throw_longjmp", "emscripten_longjmp", "longjmp")
_PREFIX = "invoke_"


class _Jump(HostFailure):
    """A `longjmp` on its way to the `invoke_*` that began the call which it leaves."""

    def __init__(self) -> None:
        super().__init__("a longjmp that no setjmp was there for")


class EmscriptenModule(ImportProvider):
    """The module "env", as far as `setjmp` and `longjmp` in programs of Emscripten's compiler need it."""

    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """`invoke_*` of the type that is wanted, and what jumps."""
        if not isinstance(entry.type, FunctionType):
            return None
        if entry.name in _JUMPS:
            return caller.store.host_function(entry.type, _jump, entry.name)
        if not entry.name.startswith(_PREFIX) or entry.type.parameters[:1] != (I32,):
            return None
        return caller.store.host_function(entry.type, _invoke(caller, entry.type), entry.name)


def _jump(*_: int) -> NoReturn:
    raise _Jump


def _invoke(caller: Caller, signature: FunctionType) -> Callable[..., Any]:
    wanted = FunctionType(signature.parameters[1:], signature.results)
    nothing = _zeros(signature.results)

    def invoke(index: int, *arguments: Any) -> Any:
        function = _callee(caller, index & 0xFFFFFFFF, wanted)
        stack = _find(caller, _STACK_SAVE)()
        try:
            return function(*arguments)
        except _Jump:
            _find(caller, _STACK_RESTORE)(stack)
            _find(caller, _SET_THREW)(1, 0)
            return nothing

    return invoke


def _callee(caller: Caller, index: int, wanted: FunctionType) -> Function:
    """What `call_indirect` would call. Raises Trap."""
    table = caller.table(_TABLE)
    if index >= table.size:
        raise Trap(TrapKind.UNDEFINED_ELEMENT)
    function = table.get(index)
    if function is None:
        raise Trap(TrapKind.UNINITIALIZED_ELEMENT)
    if function.type != wanted:
        raise Trap(TrapKind.INDIRECT_CALL_TYPE_MISMATCH)
    callee: Function = function
    return callee


def _find(caller: Caller, names: Sequence[str]) -> Function:
    """The function that the caller exports by the first of some names. Raises ExportNotFoundError."""
    for name in names:
        try:
            return caller.function(name)
        except ExportNotFoundError:
            continue
    raise ExportNotFoundError(f"{caller.name!r} exports none of {', '.join(names)}, which `invoke_*` needs")


def _zeros(results: Sequence[ValueType]) -> Any:
    values = tuple(0 if value_type.name in ("i32", "i64") else 0.0 for value_type in results)
    return (values or None) if len(values) != 1 else values[0]
