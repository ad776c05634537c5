"""The memory of guests' exceptions: one arena for each linked group whose instances have tags.

An exception that is caught without a reference to it (`catch`, `catch_all`) is freed as it is caught. One to which
there may be references (`catch_ref`, `catch_all_ref`) is freed when nothing refers to it any more: whenever the arena
has twice as many bytes as were needed last, but 256 KiB at least, the tables and globals of the group, the exceptions
that these reach, and the stack of the calling thread are searched. Any word on the stack that could be a reference
counts as one. All guests of the group run on that thread, since calls into one group take turns.

Exceptions can carry references to objects of the group's heap, and objects references to exceptions. Each of the two
collectors takes all that the other one has not freed yet for reachable: what only a circle of exceptions and objects
refers to is freed with the group, and until then counts as kept.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from farcall.engine.abi import layout
from farcall.engine.errors import EngineBug, ExhaustionError, WasmException
from farcall.engine.runtime.heap import Roots
from farcall.engine.runtime.native.address_space import write_words
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.structure.types import refers_to

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import LinkedGroup, Member
    from farcall.engine.runtime.tag import Tag

_FIRST_SEARCH = 256 * 1024
MAXIMUM_BYTES = 16 << 20
"""What the exceptions of one linked group may take; a guest that keeps more gets ExhaustionError."""

_RAISED_KEPT = 64
"""How many exceptions of host functions are remembered, with all that their tracebacks hold; the last ones."""

_identities = itertools.count(1)
_arenas: weakref.WeakValueDictionary[int, ExceptionArena] = weakref.WeakValueDictionary()


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


class ExceptionArena:
    """The exceptions of a linked group, and the tags that these may have. The group's lock guards it.

    Attributes:
        address: of the arena, for the contexts of instances.
    """

    def __init__(self, group: LinkedGroup) -> None:
        self._identity = next(_identities)
        self._buffer = ctypes.create_string_buffer(layout.ARENA_SIZE)
        self.address = ctypes.addressof(self._buffer)
        write_words(self.address, [0, _FIRST_SEARCH, 0, self._identity])
        self._tags: dict[int, Tag] = {}  # by record
        self._raised: dict[int, WasmException] = {}  # what host functions raised last, by exception
        self.belong_to(group)
        _arenas[self._identity] = self
        weakref.finalize(self, _free_all, self._buffer).atexit = False

    def belong_to(self, group: LinkedGroup) -> None:
        """The arena is that group's now."""
        self._group = weakref.ref(group)

    def know(self, tag: Tag) -> None:
        """Exceptions may have this tag."""
        self._tags[tag.record] = tag

    def absorb(self, other: ExceptionArena) -> None:
        """Take over all that `other` has."""
        for exception in list(other.exceptions()):
            write_words(exception + layout.EXCEPTION_ARENA, [self.address])
        first, others = _word(self.address + layout.ARENA_FIRST), _word(other.address + layout.ARENA_FIRST)
        if others:
            *_, last = other.exceptions()
            write_words(last + layout.EXCEPTION_NEXT, [first])
            if first:
                write_words(first + layout.EXCEPTION_PREVIOUS, [last])
            write_words(self.address + layout.ARENA_FIRST, [others])
        write_words(self.address + layout.ARENA_USED, [self.used + other.used])
        write_words(other.address, [0, _FIRST_SEARCH, 0])
        self._tags.update(other._tags)
        self._raised.update(other._raised)

    @property
    def used(self) -> int:
        """Bytes that its exceptions take."""
        return _word(self.address + layout.ARENA_USED)

    def exceptions(self) -> Iterator[int]:
        """The addresses of all."""
        exception = _word(self.address + layout.ARENA_FIRST)
        while exception:
            yield exception
            exception = _word(exception + layout.EXCEPTION_NEXT)

    def held_references(self, top: str) -> set[int]:
        """The references of one hierarchy that exceptions carry, as compiled code holds them."""
        return {reference for exception in self.exceptions() for reference in self._held(exception, top)}

    def roots(self) -> Roots:
        """Where exceptions carry references to objects."""
        roots = []
        for exception in self.exceptions():
            parameters = self._tag(exception).type.type.parameters
            if any(refers_to(value, "any") or refers_to(value, "extern") for value in parameters):
                first = exception + layout.EXCEPTION_VALUES
                end = exception + _word(exception + layout.EXCEPTION_BYTES)
                roots.append((first, (end - first) // 8))
        return roots

    def _held(self, exception: int, top: str) -> Iterator[int]:
        """The references of one hierarchy that an exception carries."""
        offset = exception + layout.EXCEPTION_VALUES
        for value in self._tag(exception).type.type.parameters:
            if refers_to(value, top):
                yield _word(offset)
            offset += max(value.size, layout.SLOT_SIZE)

    def _tag(self, exception: int) -> Tag:
        tag = self._tags.get(_word(exception + layout.EXCEPTION_TAG))
        if tag is None:
            raise EngineBug("an exception outlived its tag")
        return tag

    # -- Between Python and guests -----------------------------------------------------------------------------------

    def allocate(self, error: WasmException, keeper: Member) -> int:
        """An exception for a Python one, whose tag is of the same store. The turn of `keeper` is held.

        Raises:
            ArgumentError, ClosedError: a value among its own cannot be given to the keeper.
            ExhaustionError: there is no room.
        """
        tag: Tag = error.tag  # type: ignore[assignment]
        content = tag.converter.pack(error.values, keeper)
        self.know(tag)
        exception = native_runtime().allocate_exception(self.address, tag.record, len(content))
        if exception is None or self.used > 2 * MAXIMUM_BYTES:
            raise _exhausted(self.used)
        ctypes.memmove(exception + layout.EXCEPTION_VALUES, content, len(content))
        # The Python object goes the same way: then it must not be freed unnoticed.
        write_words(exception + layout.EXCEPTION_ESCAPED, [1])
        self._raised[exception] = error
        if len(self._raised) > _RAISED_KEPT:
            del self._raised[next(iter(self._raised))]
        return int(exception)

    def to_python(self, exception: int) -> WasmException:
        """The Python exception for a guest's: the one that a host function raised, or a new one."""
        error = self._raised.get(exception)
        if error is not None:
            return error
        tag = self._tag(exception)
        content = ctypes.string_at(exception + layout.EXCEPTION_VALUES, tag.converter.size)
        return WasmException(tag, tag.converter.unpack(content))

    # -- What nothing refers to --------------------------------------------------------------------------------------

    def collect(self, stack: int) -> None:
        """Free the exceptions that nothing refers to.

        Parameters:
            stack: where the part of this thread's stack begins that may hold references.

        Raises:
            ExhaustionError: what is left is too much.
        """
        known = set(self.exceptions())
        reached = self._reached(known, stack)
        free = native_runtime().free_exception
        for exception in known - reached:
            self._raised.pop(exception, None)
            free(exception)
        used_tags = {_word(exception + layout.EXCEPTION_TAG) for exception in reached}
        for record, tag in list(self._tags.items()):
            if tag.home.released and record not in used_tags:
                del self._tags[record]
        if self.used > MAXIMUM_BYTES:
            raise _exhausted(self.used)
        write_words(self.address + layout.ARENA_LIMIT, [max(_FIRST_SEARCH, 2 * self.used)])

    def _reached(self, known: set[int], stack: int) -> set[int]:
        words = (native_runtime().stack_top() - stack) // 8
        view: Iterable[int] = memoryview((ctypes.c_uint64 * words).from_address(stack)).cast("B").cast("Q")
        pending = known.intersection(view)
        group = self._group()
        assert group is not None
        for member in group.members:
            pending |= known & member.held_references("exn")
        if group.heap is not None:
            pending |= known & group.heap.collect(functions=True).functions
        reached: set[int] = set()
        while pending:
            exception = pending.pop()
            reached.add(exception)
            pending.update(known.intersection(self._held(exception, "exn")) - reached)
        return reached


def _free_all(buffer: ctypes.Array[Any]) -> None:
    first = ctypes.addressof(buffer) + layout.ARENA_FIRST
    while exception := _word(first):
        native_runtime().free_exception(exception)


def _exhausted(used: int) -> ExhaustionError:
    return ExhaustionError(
        f"guests keep {used} bytes of exceptions, at most {MAXIMUM_BYTES} are possible in a group of linked instances"
    )


def python_exception(exception: int) -> WasmException:
    """The Python exception for a guest's."""
    arena = _word(exception + layout.EXCEPTION_ARENA)
    return _arenas[_word(arena + layout.ARENA_IDENTITY)].to_python(exception)


def take_thrown() -> WasmException:
    """The exception by which this thread's last guest was left."""
    exception = native_runtime().take_thrown()
    error = python_exception(exception)
    native_runtime().release_exception(exception)
    return error


_CONVERT = 1
"""In place of an exception to be thrown: it is still to be made of a Python one (see `native.host_border`)."""
_thread = threading.local()


def throw_on_return(error: WasmException) -> None:
    """Let the guest that called the host function which ends in this thread throw an exception."""
    _thread.error = error
    native_runtime().throw_on_return(_CONVERT)


def _convert(_identity: int, _index: int, _slots: int) -> None:
    """Make an exception of the Python one, of and for the guest that called the host function."""
    error: WasmException = _thread.error
    del _thread.error
    tag: Tag = error.tag  # type: ignore[assignment]
    keeper: Any = tag.references.source(native_runtime().caller_context())
    tag.converter.link(error.values, keeper)
    native_runtime().throw_on_return(keeper.group.exception_arena().allocate(error, keeper))


def _collect(identity: int, out_of_memory: int, stack: int) -> None:
    arena = _arenas[identity]
    if out_of_memory:
        raise _exhausted(arena.used)
    arena.collect(stack)


def install() -> None:
    """Connect what compiled code asks for to this module."""
    native_runtime().handle("collect", _collect)
    native_runtime().handle("convert", _convert)
