"""Whether machine code and Python agree about modules: verdict, message, place, and the facts of the functions."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Iterator

from farcall.engine.binary import decode_module, native_reading
from farcall.engine.binary.function_facts import read_facts
from farcall.engine.errors import ModuleError
from farcall.engine.instructions.instruction import NONE_DISABLED, Features
from farcall.engine.structure.function_facts import FACT_COUNT
from farcall.engine.structure.module import Module
from farcall.engine.validation import validate_module
from farcall.engine.validation.module_context import ModuleContext
from farcall.engine.validation.native import bodies
from farcall.engine.validation.native.body_routine import VALIDATION, validate_bodies
from farcall.engine.validation.native.layout import SCRATCH_BYTES, At
from farcall.engine.validation.native.tables import Context

_NEVER = 1 << 40


@contextlib.contextmanager
def native_from(size: int) -> Iterator[None]:
    """Let machine code treat what has so many entries or bytes: 0 is all, `_NEVER` nothing."""
    places = (
        (native_reading, "MANY"),
        (native_reading, "MANY_ONCE_PREPARED"),
        (bodies, "SMALLEST_CODE"),
        (bodies, "SMALLEST_PREPARED"),
    )
    before = [getattr(module, name) for module, name in places]
    for module, name in places:
        setattr(module, name, size)
    try:
        yield
    finally:
        for (module, name), value in zip(places, before, strict=True):
            setattr(module, name, value)


def _outcome(source: bytes, disabled: Features, native: bool) -> tuple[str, Module | None]:
    """What comes out of a module, in words, and the module if it is valid."""
    with native_from(0 if native else _NEVER):
        try:
            module = decode_module(source, disabled)
            validate_module(module, disabled, native=native)
        except ModuleError as error:
            return f"{type(error).__name__} at {error.offset}: {error}", None
    return "valid", module


def _parts(module: Module) -> tuple[object, ...]:
    """What the two ways of reading could make different."""
    elements = tuple(tuple(segment.initializers) for segment in module.elements)
    return (
        tuple(module.functions), module.function_types, elements, tuple(module.data), dict(module.names.functions),
        tuple(module.offsets.functions),
    )  # fmt: skip


def disagreement(source: bytes, disabled: Features = NONE_DISABLED) -> str | None:
    """How the two differ about a module; None if they agree."""
    slow, expected = _outcome(source, disabled, native=False)
    fast, found = _outcome(source, disabled, native=True)
    if slow != fast:
        return f"Python: {slow}; machine code: {fast}"
    if expected is None or found is None:
        return None
    if _parts(expected) != _parts(found):
        return f"Python reads {_parts(expected)}, machine code {_parts(found)}"
    for position, body in enumerate(found.functions):
        if not found.facts.is_known(position):
            continue
        facts = read_facts(expected, body)
        row = found.facts.rows[position * FACT_COUNT : (position + 1) * FACT_COUNT]
        if (row, found.facts.direct_calls(position)) != (facts.counts, facts.calls):
            return f"facts of function {body.index}: Python {facts}, machine code {row}"
    return None


class GuardedBytes:
    """Bytes that end where a page ends behind which nothing can be read: who does, ends the process."""

    def __init__(self, capacity: int) -> None:
        self._size = -(-capacity // mmap.PAGESIZE) * mmap.PAGESIZE
        self._pages = mmap.mmap(-1, self._size + mmap.PAGESIZE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(self._start + self._size, mmap.PAGESIZE, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, content: bytes) -> int:
        """The address of the content, the end of which is the end of what can be read."""
        assert len(content) <= self._size
        address = self._start + self._size - len(content)
        ctypes.memmove(address, content, len(content))
        return address


def validate_at_the_end(module: Module, disabled: Features, guarded: GuardedBytes) -> int:
    """Validate each function with nothing behind its bytes; how many are decided."""
    tables = Context(ModuleContext(module, disabled))
    validate = VALIDATION.function(validate_bodies)
    scratch = ctypes.create_string_buffer(SCRATCH_BYTES)
    decided = 0
    for position, body in enumerate(module.functions):
        room = (ctypes.c_uint32 * (body.end // 2 + 1))()
        ctypes.c_uint64.from_address(tables.address + At.SOURCE).value = guarded.place(
            module.source[: body.end]
        )
        undecided = validate(
            tables.address, ctypes.addressof(scratch), position, position + 1, ctypes.addressof(room)
        )
        decided += 1 - undecided
    return decided
