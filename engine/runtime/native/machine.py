"""The process's native runtime: made once, at first use.

It owns the reservations, the signal handlers, the runtime functions that compiled code calls, and the
trampolines of every function type that was needed so far.
"""

from __future__ import annotations

import ctypes
import functools
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

from farcall.engine.abi import layout
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.codegen.compiler import compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.codegen.target import host_target
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import AddressSpace
from farcall.engine.runtime.native.bulk import bulk_text
from farcall.engine.runtime.native.code_memory import CodeRegistry, MappedCode
from farcall.engine.runtime.native.threads import prepare_thread, thread_end_text
from farcall.engine.runtime.native.trampolines import (
    entry_text,
    host_border_text,
    host_call_text,
    listener_text,
)
from farcall.engine.runtime.native.traps import PREVIOUS_HANDLER_WORDS, traps_text
from farcall.engine.structure.types import FunctionType

_ATTRIBUTES = 'attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }'

_HostCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_Entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

Entry = Callable[[int, int, int], int]
"""(code, vmctx, slots) -> 0, or why the guest was left."""

HostHandler = Callable[[int, int, int], None]
"""(identity, index, address of the slots): what a callback does; its exception ends the guest's call."""


def _compile(text: str) -> MappedCode:
    return MappedCode(link([read_object(compile_to_object(f"{text}\n{_ATTRIBUTES}\n", host_target()))]))


class NativeRuntime:
    """Everything native that belongs to the process. Use `native_runtime()`.

    Attributes:
        space: the reservations.
        registry: which code is whose.
        functions: address of the table of runtime functions.
    """

    def __init__(self) -> None:
        self.space = AddressSpace()
        self.registry = CodeRegistry()
        self._lock = threading.Lock()
        self._entries: dict[FunctionType, Entry] = {}  # guarded by _lock when written
        self._host_calls: dict[FunctionType, int] = {}  # guarded by _lock when written
        self._code: list[MappedCode] = []
        self._waiting = threading.local()
        self._handlers: dict[str, HostHandler] = {}
        self._callbacks = {name: self._callback(name) for name in ("host", "before", "after")}
        self._key = c_library.create_thread_key(self._compile_thread_end())
        self._previous = (ctypes.c_uint64 * (PREVIOUS_HANDLER_WORDS * signal.NSIG))()
        base = self._compile_base()
        self._call_host = base.addresses["call_host"]
        self._table = (ctypes.c_void_p * len(RuntimeFunction))(
            *(base.addresses[_SYMBOLS.get(function, function.name.lower())] for function in RuntimeFunction)
        )
        self.functions = ctypes.addressof(self._table)
        for number in (signal.SIGSEGV, signal.SIGBUS):
            self._install(number, base.addresses["on_fault"])

    def _compile_thread_end(self) -> int:
        code = _compile(thread_end_text())
        self._code.append(code)
        return code.addresses["thread_end"]

    def _compile_base(self) -> MappedCode:
        code = _compile(
            "\n".join(
                (
                    traps_text(
                        host_target().architecture, self._key, self.space, ctypes.addressof(self._previous)
                    ),
                    host_border_text(self._key),
                    listener_text("listener_before", self._callback_address("before")),
                    listener_text("listener_after", self._callback_address("after")),
                    bulk_text(),
                )
            )
        )
        self._code.append(code)
        return code

    def _callback_address(self, name: str) -> int:
        return ctypes.cast(self._callbacks[name], ctypes.c_void_p).value or 0

    def _callback(self, name: str) -> Any:
        def call(identity: int, index: int, slots: int) -> int:
            try:
                self._handlers[name](identity, index, slots)
            except BaseException as error:
                self._waiting.exception = error
                return 1
            return 0

        return _HostCallback(call)

    def handle(self, name: str, handler: HostHandler) -> None:
        """Say what is done when guests call host functions (`host`) or listeners (`before`, `after`)."""
        self._handlers[name] = handler

    def take_exception(self) -> BaseException:
        """The exception that a callback left in this thread; it is forgotten."""
        error: BaseException = self._waiting.exception
        del self._waiting.exception
        return error

    def _install(self, number: int, handler: int) -> None:
        flags = c_library.SA_SIGINFO | c_library.SA_ONSTACK | c_library.SA_NODEFER
        previous = c_library.set_signal_action(number, handler, flags)
        self._previous[number * PREVIOUS_HANDLER_WORDS] = previous.handler or 0
        self._previous[number * PREVIOUS_HANDLER_WORDS + 1] = previous.flags & c_library.SA_SIGINFO

    def prepare_entries(self, signatures: Iterable[FunctionType]) -> None:
        """Make the entries of these function types, in one compilation, where they are missing."""
        with self._lock:
            missing = sorted({entry for entry in signatures if entry not in self._entries}, key=str)
            if not missing:
                return
            text = "".join(
                entry_text(f"entry{position}", entry, self._key) for position, entry in enumerate(missing)
            )
            code = _compile(text)
            self._code.append(code)
            for position, entry in enumerate(missing):
                self._entries[entry] = _Entry(code.addresses[f"entry{position}"])

    def entry(self, signature: FunctionType) -> Entry:
        """The way from Python into guest functions of this type."""
        entry = self._entries.get(signature)
        if entry is None:
            self.prepare_entries((signature,))
            entry = self._entries[signature]
        return entry

    def host_call(self, signature: FunctionType) -> int:
        """Address of the code by which guests call host functions of this type."""
        with self._lock:
            address = self._host_calls.get(signature)
            if address is None:
                callback = self._callback_address("host")
                code = _compile(host_call_text("host_call", signature, self._call_host, callback))
                self._code.append(code)
                address = self._host_calls[signature] = code.addresses["host_call"]
            return address

    def ensure_thread(self) -> None:
        """Make the calling thread able to run guests, if it is not yet."""
        if not c_library.get_thread_specific(self._key):
            prepare_thread(self._key)

    def left_frame(self) -> int:
        """Where on the native stack the entry was by which this thread left a guest last."""
        record = c_library.get_thread_specific(self._key)
        return ctypes.c_uint64.from_address(record + layout.THREAD_LEFT_FRAME).value

    def exit_frames(self) -> list[int]:
        """Return addresses of the guest that this thread left last, innermost first."""
        record = c_library.get_thread_specific(self._key)
        count = ctypes.c_uint64.from_address(record + layout.THREAD_FRAME_COUNT).value
        frames = (ctypes.c_uint64 * count).from_address(record + layout.THREAD_FRAMES)
        return list(frames)


_SYMBOLS = {RuntimeFunction.TRAP: "leave"}


@functools.cache
def _make_native_runtime() -> NativeRuntime:
    return NativeRuntime()


_creation = threading.Lock()


def native_runtime() -> NativeRuntime:
    """The process's native runtime, made at the first call (some 20 ms)."""
    with _creation:
        return _make_native_runtime()
