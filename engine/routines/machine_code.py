"""Routines as functions that Python can call, made when they are first wanted."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from llvmlite import binding as llvm

from farcall.engine.routines.translation import routine_texts


class Compiled:
    """Routines that are compiled together, by the process, at the first call of one of them.

    Calls release the interpreter's lock, so that several threads can run them at once. The machine code stays as
    long as the process: a daemon thread may be in it until the end.
    """

    def __init__(self, *entries: Callable[..., int]) -> None:
        """Say which routines; nothing is compiled yet."""
        self._entries = entries
        self._lock = threading.Lock()
        self._functions: dict[str, Callable[..., int]] | None = None

    @property
    def is_there(self) -> bool:
        """Whether they are compiled already."""
        return self._functions is not None

    def function(self, entry: Callable[..., int]) -> Callable[..., int]:
        """The compiled routine. It takes and returns integers of 64 bits."""
        functions = self._functions
        if functions is None:
            with self._lock:
                functions = self._functions = self._functions or _compile(self._entries)
        return functions[entry.__name__]


def _compile(entries: tuple[Callable[..., int], ...]) -> dict[str, Callable[..., int]]:
    """Compile without optimisation: that would take longer than it saves on all but the largest modules."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=0, jit=True
    )
    module = llvm.parse_assembly(routine_texts(entries), llvm.create_context())
    module.triple = triple
    module.data_layout = str(machine.target_data)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
    made: dict[str, Callable[..., int]] = {}
    for entry in entries:
        kind: Any = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * entry.__code__.co_argcount)
        made[entry.__name__] = kind(engine.get_function_address(entry.__name__))
    return made
