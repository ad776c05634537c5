"""The process's native runtime: made once, at first use.

It owns the reservations, the signal handlers, the runtime functions that compiled code calls, and the
trampolines of every function type that was needed so far.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from farcall.engine.abi import layout
from farcall.engine.abi.layout import RuntimeFunction
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.codegen.target import host_target
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.address_space import AddressSpace, write_words
from farcall.engine.runtime.native.bulk import bulk_text
from farcall.engine.runtime.native.code_memory import CodeRegistry, MappedCode
from farcall.engine.runtime.native.code_table import CodeTable, compile_now
from farcall.engine.runtime.native.compile_thread import run_with_stack
from farcall.engine.runtime.native.exceptions import exceptions_text
from farcall.engine.runtime.native.fault_signals import FaultSignals
from farcall.engine.runtime.native.function_loops import FunctionLoops, function_loops_text
from farcall.engine.runtime.native.host_border import (
    direct_host_call_text,
    host_border_text,
    host_call_text,
    listener_text,
)
from farcall.engine.runtime.native.host_calls import HostCall, HostCalls
from farcall.engine.runtime.native.object_space import ObjectSpace
from farcall.engine.runtime.native.objects import objects_text
from farcall.engine.runtime.native.stubs import lazy_entry_text, stubs_text
from farcall.engine.runtime.native.threads import prepare_thread, thread_end_text
from farcall.engine.runtime.native.trampolines import (
    INTEGER_PARAMETERS,
    batch_entry_text,
    entry_text,
    integer_entries_text,
)
from farcall.engine.runtime.native.traps import fault_entry_text, traps_text
from farcall.engine.runtime.native.waiting import new_buckets, waiting_text
from farcall.engine.structure.types import I32, I64, FunctionType, ValueType

T = TypeVar("T")

_ATTRIBUTES = 'attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }'

_TakeBudget = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_GrowMemory = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64)
_WakeStopped = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_GiveBudget = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
_BatchEntry = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
)
_AllocateException = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_FreeException = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

Entry = Callable[[int, int, int], int]
"""(code, vmctx, slots) -> 0, or why the guest was left. Its machine code lives as long as it does."""

BatchEntry = Callable[[int, int, int, int], int]
"""(code, vmctx, rows, count) -> how many calls returned. Its machine code lives as long as it does."""

HostHandler = Callable[[int, int, int], None]
"""(identity, index, address of the slots): what Python does for a guest; an exception ends the guest's call."""

_NextCell = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_FinishSweep = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
_Collect = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_HANDLERS = ("host", "before", "after", "tail_call", "collect", "convert", "unwind", "heap", "compile")


_INTEGERS = frozenset({I32, I64})
_FEW_VALUES = 32
"""Parameters and results of a type for which the way in or out is optimised: of a thousand results, that took 9 s."""


def is_wide(signature: FunctionType) -> bool:
    """Whether a function type has so many values that making trampolines for it takes long."""
    return len(signature.parameters) + len(signature.results) > _FEW_VALUES


def _compile(text: str, *, wide: bool = False) -> MappedCode:
    optimization = Optimization.FAST if wide else Optimization.FULL
    code = compile_to_object(f"{text}\n{_ATTRIBUTES}\n", host_target(), optimization)
    return MappedCode(link([read_object(code)]))


class _Trampolines(Generic[T]):
    """What was made for function types. Whoever needs one keeps it; here, only those that were wanted last are kept.

    So the types of modules that are gone leave nothing behind, and what comes and goes all the time is made once.
    """

    _KEPT = 512

    def __init__(self) -> None:
        self._all: weakref.WeakValueDictionary[FunctionType, T] = weakref.WeakValueDictionary()
        self._recent: dict[FunctionType, T] = {}  # the least recently wanted first

    def get(self, signature: FunctionType) -> T | None:
        """What was made for the type, if it is there."""
        found = self._all.get(signature)
        if found is not None:
            self.put(signature, found)
        return found

    def put(self, signature: FunctionType, made: T) -> None:
        """Remember what was made, or wanted again."""
        self._all[signature] = made
        self._recent.pop(signature, None)
        self._recent[signature] = made
        if len(self._recent) > self._KEPT:
            del self._recent[next(iter(self._recent))]


class NativeRuntime:
    """Everything native that belongs to the process. Use `native_runtime()`.

    Attributes:
        space: the reservations.
        objects: the space for the heaps of structures and arrays.
        next_cell: (address of a heap's record, class of cells) -> a free cell, or None.
        finish_sweep: (address of a heap's record, class of cells): its free cells become known as such.
        collect: (address of a request): see `native.objects`.
        registry: which code is whose.
        functions: address of the table of runtime functions.
        function_loops: loops over all functions of a module.
        direct_host_call: address of the guest function that calls a Python object: see `host_border`.
        take_budget: (address of a budget, bytes) -> whether it had as many.
        give_budget: (address of a budget, bytes): what was taken goes back.
        allocate_exception: (address of an arena, of a tag record, bytes of values) -> exception, or None.
        free_exception: (exception): its memory goes back.
        release_exception: (exception): the same, unless references to it may be somewhere.
        grow_memory: (address of a memory record, pages) -> the former size in pages, or -1.
        wake_stopped: (address of an execution context): guests that wait in it look at its stop word.
    """

    def __init__(self) -> None:
        self.space = AddressSpace()
        self.objects = ObjectSpace()
        self.registry = CodeRegistry()
        # Reentrant: the garbage collector may run whatever it likes in the middle of what this guards.
        self._lock = threading.RLock()
        self._entries: _Trampolines[Any] = _Trampolines()  # guarded by _lock
        self._batch_entries: _Trampolines[Any] = _Trampolines()  # guarded by _lock
        self._host_calls: _Trampolines[HostCall] = _Trampolines()  # guarded by _lock
        self._code: list[MappedCode] = []
        self._handlers: ctypes.Array[Any] = (ctypes.py_object * len(_HANDLERS))()
        self._listening = ctypes.c_int64(0)
        self._key = c_library.create_thread_key(self._compile_thread_end())
        self._records = threading.local()
        self._buckets = new_buckets()
        base = self._compile_base()
        self._call_host = base.addresses["call_host"]
        self._integer_entries: dict[ValueType | None, Entry] = {
            I32: _Entry(base.addresses["integer_entry_i32"]),
            I64: _Entry(base.addresses["integer_entry_i64"]),
        }
        self._integer_entries[None] = self._integer_entries[I64]  # what is in the slot then, nobody looks at
        self.direct_host_call = base.addresses["direct_host_call"]
        self.function_loops = FunctionLoops(base.addresses)
        self._lazy_entry = base.addresses["lazy_entry"]
        self.handle("compile", compile_now)
        self._host_call_maker = HostCalls(self.new_code_table, self._compile_host_call)
        self._table = (ctypes.c_void_p * len(RuntimeFunction))(
            *(_address_of(function, base) for function in RuntimeFunction)
        )
        self.functions = ctypes.addressof(self._table)
        self.take_budget = _TakeBudget(base.addresses["take_budget"])
        self.give_budget = _GiveBudget(base.addresses["give_budget"])
        self.allocate_exception = _AllocateException(base.addresses["exception_allocate"])
        self.free_exception = _FreeException(base.addresses["exception_free"])
        self.release_exception = _FreeException(base.addresses["exception_release"])
        self.grow_memory = _GrowMemory(base.addresses["memory_grow"])
        self.wake_stopped = _WakeStopped(base.addresses["wake_stopped"])
        self.next_cell = _NextCell(base.addresses["next_cell"])
        self.finish_sweep = _FinishSweep(base.addresses["finish_sweep"])
        self.collect = _Collect(base.addresses["collect"])
        self._take_fault = base.addresses["take_fault"]
        self._fault_signals = FaultSignals(self._make_fault_entry)

    def _compile_thread_end(self) -> int:
        code = _compile(thread_end_text())
        self._code.append(code)
        return code.addresses["thread_end"]

    def _compile_base(self) -> MappedCode:
        code = _compile(
            "\n".join(
                (
                    traps_text(host_target().architecture, self._key, self.space),
                    host_border_text(self._key, self._handler_address("convert")),
                    direct_host_call_text(),
                    integer_entries_text(self._key),
                    function_loops_text(),
                    stubs_text(host_target().architecture),
                    lazy_entry_text(host_target().architecture, self._handler_address("compile")),
                    listener_text("listener_before", self._handler_address("before")),
                    listener_text("listener_after", self._handler_address("after")),
                    listener_text("listener_tail_call", self._handler_address("tail_call")),
                    exceptions_text(
                        self._key,
                        ctypes.addressof(self._listening),
                        self._handler_address("collect"),
                        self._handler_address("unwind"),
                    ),
                    bulk_text(),
                    waiting_text(host_target().architecture, self.space, self._buckets),
                    objects_text(
                        self.objects.base,
                        self.objects.size,
                        self.objects.block_table,
                        self._handler_address("heap"),
                    ),
                )
            )
        )
        self._code.append(code)
        return code

    def _handler_address(self, name: str) -> int:
        return ctypes.addressof(self._handlers) + ctypes.sizeof(ctypes.py_object) * _HANDLERS.index(name)

    def handle(self, name: str, handler: HostHandler) -> None:
        """Say what is done when guests call host functions (`host`) or listeners (`before`, `after`).

        `heap` is for those that need room for objects.
        """
        self._handlers[_HANDLERS.index(name)] = handler

    def new_code_table(self, functions: int) -> CodeTable:
        """A code table for so many functions. Raises OSError where the system refuses memory."""
        return CodeTable(functions, self._lazy_entry, self.function_loops)

    def listen(self) -> None:
        """There are listeners from now on, who are to be told of calls that exceptions end."""
        self._listening.value = 1

    def take_thrown(self) -> int:
        """The guest's exception by which this thread's last guest was left; it is forgotten."""
        place = c_library.get_thread_specific(self._key) + layout.THREAD_THROWN
        exception = ctypes.c_uint64.from_address(place).value
        write_words(place, [0])
        return exception

    def throw_on_return(self, exception: int) -> None:
        """Let the guest that called the host function which ends in this thread throw an exception."""
        write_words(c_library.get_thread_specific(self._key) + layout.THREAD_THROWN, [exception])

    def stack_top(self) -> int:
        """The highest address of this thread's stack."""
        record = c_library.get_thread_specific(self._key)
        return ctypes.c_uint64.from_address(record + layout.THREAD_FRAME_LIMIT).value

    def take_exception(self) -> BaseException:
        """The exception by which this thread's last call of a host function or listener ended; it is forgotten."""
        place = c_library.get_thread_specific(self._key) + layout.THREAD_EXCEPTION
        holder: Any = ctypes.py_object.from_address(place)
        error: BaseException = holder.value
        ctypes.pythonapi.Py_DecRef(holder)
        write_words(place, [0])
        return error

    def forget_waiters(self) -> None:
        """In a child process, which has none of the threads that wait in its parent."""
        ctypes.memset(self._buckets, 0, ctypes.sizeof(self._buckets))

    def _make_fault_entry(self, previous: int) -> int:
        code = _compile(fault_entry_text(self._take_fault, previous))
        self._code.append(code)
        return code.addresses["on_fault"]

    def ensure_fault_handlers(self) -> None:
        """Put our handlers of faults in front of any that were installed since."""
        self._fault_signals.ensure_installed()

    def entry(self, signature: FunctionType) -> Entry:
        """The way from Python into guest functions of this type.

        There are to be as many slots as its parameters and results take, but at least `INTEGER_PARAMETERS`.
        """
        ready = self._integer_entry(signature)
        if ready is not None:
            return ready
        entry: Entry = self._way_in(self._entries, signature, entry_text, _Entry)
        return entry

    def known_entry(self, signature: FunctionType) -> Entry | None:
        """The same, if it was made already."""
        ready = self._integer_entry(signature)
        if ready is not None:
            return ready
        with self._lock:
            entry: Entry | None = self._entries.get(signature)
            return entry

    def _integer_entry(self, signature: FunctionType) -> Entry | None:
        """The entry for this type that is there from the start, if it has few parameters and integers only."""
        parameters, results = signature.parameters, signature.results
        if len(parameters) > INTEGER_PARAMETERS or len(results) > 1 or not _INTEGERS.issuperset(parameters):
            return None
        return self._integer_entries.get(results[0] if results else None)

    def batch_entry(self, signature: FunctionType) -> BatchEntry:
        """The way from Python into guest functions of this type, for many calls."""
        entry: BatchEntry = self._way_in(self._batch_entries, signature, batch_entry_text, _BatchEntry)
        return entry

    def _way_in(
        self,
        made: _Trampolines[Any],
        signature: FunctionType,
        text: Callable[[str, FunctionType, int], str],
        prototype: Callable[[int], Any],
    ) -> Any:
        """What was made for the type, or is made now."""
        with self._lock:
            found = made.get(signature)
            if found is None:
                # Whoever calls may have a small stack.
                code = run_with_stack(
                    lambda: _compile(text("entry", signature, self._key), wide=is_wide(signature))
                )
                found = prototype(code.addresses["entry"])
                vars(found)["mapped_code"] = code
                made.put(signature, found)
            return found

    def host_call(self, signature: FunctionType) -> HostCall:
        """The way from guests to host functions of this type."""
        with self._lock:
            found = self._host_calls.get(signature)
            if found is None:
                found = self._host_call_maker.make(signature)
                self._host_calls.put(signature, found)
            return found

    def _compile_host_call(self, signature: FunctionType) -> MappedCode:
        text = host_call_text("host_call", signature, self._call_host, self._handler_address("host"))
        return _compile(text, wide=is_wide(signature))

    def caller_context(self) -> int:
        """The vmctx with which the guest was entered that has called the host function that begins in this thread."""
        record = c_library.get_thread_specific(self._key)
        return ctypes.c_uint64.from_address(record + layout.THREAD_CALLER).value

    def guests_end(self) -> int:
        """Where the part of this thread's stack ends that guests may have frames in; 0 if it runs none."""
        record = c_library.get_thread_specific(self._key)
        return ctypes.c_uint64.from_address(record + layout.THREAD_GUESTS_END).value if record else 0

    def ensure_thread(self) -> None:
        """Make the calling thread able to run guests, if it is not yet."""
        if not c_library.get_thread_specific(self._key):
            prepare_thread(self._key)
            self.ensure_fault_handlers()

    def left_frame(self) -> int:
        """Where on the native stack the entry was by which this thread left a guest last."""
        return self._record_words()[layout.THREAD_LEFT_FRAME // 8]

    def exit_code(self) -> int:
        """Why this thread left a guest last."""
        return self._record_words()[layout.THREAD_EXIT_CODE // 8]

    def exit_frames(self) -> list[int]:
        """Return addresses of the guest that this thread left last, innermost first."""
        words = self._record_words()
        first = layout.THREAD_FRAMES // 8
        return words[first : first + words[layout.THREAD_FRAME_COUNT // 8]].tolist()

    def _record_words(self) -> memoryview[int]:
        """The calling thread's record. The view is the thread's own, and so ends with the record."""
        words: memoryview[int] | None = getattr(self._records, "words", None)
        if words is None:
            content = (ctypes.c_ubyte * layout.THREAD_RECORD_SIZE).from_address(
                c_library.get_thread_specific(self._key)
            )
            words = self._records.words = memoryview(content).cast("B").cast("Q")
        return words


_SYMBOLS = {RuntimeFunction.TRAP: "leave"}


def _address_of(function: RuntimeFunction, base: MappedCode) -> int:
    if function is RuntimeFunction.SET_JUMP:
        return c_library.address_of(
            "_setjmp"
        )  # called by whoever is returned to twice, and by nobody in between
    return base.addresses[_SYMBOLS.get(function, function.name.lower())]


_creation = threading.Lock()
_runtime: NativeRuntime | None = None


def native_runtime() -> NativeRuntime:
    """The process's native runtime, made at the first call (some 20 ms)."""
    return _runtime or _make_native_runtime()


def _make_native_runtime() -> NativeRuntime:
    global _runtime  # noqa: PLW0603 - the process has one
    with _creation:
        if _runtime is None:
            runtime = NativeRuntime()
            os.register_at_fork(after_in_child=runtime.forget_waiters)
            # It must outlive the interpreter: a daemon thread's guest may run until the process is gone.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
            _runtime = runtime
        return _runtime
