"""Linked groups: instances that share functions, memories, tables or globals, and therefore take turns.

Calls into one group are serialised by its lock. Its execution context is a page that every termination check of its
guests reads: to stop them, the page is made inaccessible.

Who stops whom: a request to stop names one call (`Stoppable.terminate`), all calls into one member (its closing), or
the whole group (its store's closing). The page is inaccessible exactly as long as a guest that runs is meant, so that
no request hits the next call. Calls that cannot be stopped one by one only look at `attention`; the order "announce
the call, then look" there, and "announce the request, then look for calls" here, keeps either from missing the other.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farcall.engine.errors import ClosedError, ReentrancyError, TerminatedError
from farcall.engine.runtime.exception_arena import ExceptionArena
from farcall.engine.runtime.heap import Heap, Roots
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.machine import native_runtime

if TYPE_CHECKING:
    from farcall.engine.runtime.memory_budget import MemoryBudget
    from farcall.engine.runtime.references import References
    from farcall.engine.runtime.stoppable import Stoppable

_ACCESSIBLE = c_library.PROT_READ | c_library.PROT_WRITE
_TURN_POLL = 0.01
"""Seconds between two looks at whether a call that waits for its turn has been stopped."""


@dataclass(frozen=True, slots=True, eq=False)
class _StopRequest:
    """All guests of the group, or those that were called as functions of `member`, are to stop."""

    member: Member | None
    reason: str


class LinkedGroup:
    """A group; `Member.group` points to it, and to another one after a merge.

    Attributes:
        lock: held while a guest of the group runs, and by whatever reads or changes the group's memories.
        targets: whose functions are being called, one call inside the other through host functions, outermost first.
            Guarded by `lock`; read without it by those who ask to stop.
        attention: whether a request to stop is pending. Guarded by `_interruption` when written.
        members: who belongs to it. Guarded by `lock`.
        heap: where its objects are, if there can be any. Guarded by `lock`.
        shares_references: whether functions of one member may be in tables, globals or frames of another.
            Guarded by `lock`.
        exceptions: their memory; None while no member has tags. Guarded by `lock`.
    """

    def __init__(self) -> None:
        self.exceptions: ExceptionArena | None = None
        self.lock = threading.RLock()
        self.targets: list[Member] = []
        self.attention = False
        self.members: set[Member] = set()
        self.shares_references = False
        # Reentrant: a handler of a signal may ask for a stop in the middle of this thread's own bookkeeping.
        self._interruption = threading.RLock()
        self._running: list[Stoppable] = []  # guarded by _interruption
        self._requests: list[_StopRequest] = []  # guarded by _interruption
        self._protected = False  # guarded by _interruption
        self._wakers: list[Callable[[], None]] = []  # of host functions that sleep; guarded by _interruption
        contexts = native_runtime().space.contexts
        self.execution_context = contexts.acquire()
        # A group that is dropped without having been closed gives its page back all the same.
        self._give_back = weakref.finalize(self, contexts.release, self.execution_context)
        self._give_back.atexit = False
        self.heap: Heap | None = None

    # -- Calls -----------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, target: Member, call: Stoppable | None) -> Iterator[None]:
        """While a function of `target` is called; the lock is held.

        The lists are as they were afterwards, whatever a signal's handler raises at whichever moment: where they are
        put right, nothing is called before it.

        Parameters:
            call: what another thread may stop, if it can be stopped by itself.

        Raises:
            TerminatedError: `call` has been stopped already.
        """
        targets, running = len(self.targets), len(self._running)
        try:
            with self._interruption:
                if call is not None:
                    if call.reason is not None:
                        raise TerminatedError(call.reason)
                    self._running.append(call)
                self.targets.append(target)
                if self.attention:
                    self._update_protection()
            yield
        finally:
            with self._interruption:
                del self.targets[targets:]
                del self._running[running:]
                # Guests that nobody asked to stop may go on.
                if self.attention:
                    self._update_protection()

    def review(self) -> None:
        """A call that `running` was not told of ended while a request was pending."""
        with self._interruption:
            self._update_protection()

    # -- Requests to stop ------------------------------------------------------------------------------------------

    def interrupt(self, call: Stoppable) -> None:
        """Stop the guests of `call`, whose reason is set, if it runs."""
        with self._interruption:
            if call in self._running:
                self._update_protection()

    @contextmanager
    def stopping(self, reason: str, member: Member | None = None) -> Iterator[None]:
        """Stop the calls into `member`, or all, and hold the lock once none is left that has it.

        With a member, calls into others are waited for.
        """
        request = _StopRequest(member, reason)
        with self._interruption:
            self._requests.append(request)
            self._update_protection()
        try:
            self.lock.acquire()
        finally:
            with self._interruption:
                self._requests.remove(request)
                self._update_protection()
        try:
            yield
        finally:
            self.lock.release()

    @property
    def stop_reason(self) -> str | None:
        """Why the guests that run now are being stopped; None if they are not."""
        with self._interruption:
            return next(self._reasons(), None)

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While a host function sleeps: `wake` is called, in any thread, when the guest that called it is to stop."""
        with self._interruption:
            self._wakers.append(wake)
        try:
            yield
        finally:
            with self._interruption:
                self._wakers.remove(wake)

    def _reasons(self) -> Iterator[str]:
        for request in self._requests:
            if request.member is None or request.member in self.targets:
                yield request.reason
        for call in self._running:
            if call.reason is not None:
                yield call.reason

    def _update_protection(self) -> None:
        # First this, then the look at who runs: see the head of this file.
        self.attention = bool(self._requests) or any(call.reason is not None for call in self._running)
        wanted = bool(self.targets) and next(self._reasons(), None) is not None
        if wanted != self._protected:
            access = c_library.PROT_NONE if wanted else _ACCESSIBLE
            runtime = native_runtime()
            c_library.protect_memory(self.execution_context, c_library.PAGE_SIZE, access)
            runtime.space.stop_word(self.execution_context).value = wanted
            self._protected = wanted
            if wanted:
                runtime.wake_stopped(self.execution_context)
                for wake in self._wakers:
                    wake()

    # -- Members ---------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """How many calls are active, one inside the other. The lock is held."""
        return len(self.targets)

    def exception_arena(self) -> ExceptionArena:
        """The memory of its exceptions, made when it is first wanted. The lock is held."""
        if self.exceptions is None:
            self.exceptions = ExceptionArena(self)
        return self.exceptions

    def absorb(self, other: LinkedGroup) -> None:
        """Take over the members of `other`; both locks are held, and no guest of `other` runs."""
        if other.exceptions is not None:
            if self.exceptions is None:
                self.exceptions = other.exceptions
                self.exceptions.belong_to(self)
            else:
                self.exceptions.absorb(other.exceptions)
        if other.heap is not None:
            if self.heap is None:
                self.heap = other.heap
                self.heap.owner = weakref.ref(self)
            else:
                self.heap.absorb(other.heap)
            other.heap = None
        if self.heap is not None:
            self.shares_references = True  # objects may hold functions, and may come to wherever objects do
        for member in other.members:
            member.group = self
            member.moved(self.execution_context)
        self.members |= other.members
        self.shares_references |= other.shares_references
        other.members = set()
        other._give_back()

    def leave(self, member: Member) -> None:
        """A member is gone; the last one's page goes back. The lock is held."""
        self.members.discard(member)
        if not self.members:
            self._give_back()
            if self.heap is not None:
                self.heap.close()

    def roots(self) -> Roots:
        """Where tables, globals and element segments hold references to objects. The lock is held."""
        roots = [each for member in self.members for each in member.roots()]
        if self.exceptions is not None:
            roots += self.exceptions.roots()
        return roots

    def need_heap(self, budget: MemoryBudget) -> Heap:
        """The heap of the group's objects, made when it is first needed; the lock is held, or the group is new.

        Parameters:
            budget: what its memory is taken from.
        """
        if self.heap is None:
            self.heap = Heap(budget, self)
        return self.heap


class Member:
    """Something of a linked group: an instance's engine, or a memory, table or global made by the embedder.

    Attributes:
        references: of its store; members of different stores cannot be linked.
        group: the group that it belongs to now; read it again once its lock is held.
        closed: whether its user has closed it. What others still use of it lives on.
        released: whether its memory has been given back.
        needs: members whose code or memory this one points to, and that must not be released before it.
        needed_by: the other direction.
    """

    def __init__(self, references: References) -> None:
        self.references = references
        self.group = LinkedGroup()
        self.group.members.add(self)
        self.closed = False
        self.released = False
        self.needs: set[Member] = set()
        self.needed_by: set[Member] = set()

    @property
    def title(self) -> str:
        """What it is, for error messages."""
        return "this object"

    def need(self, other: Member) -> None:
        """Remember that `other` must live as long as this."""
        if other is not self:
            self.needs.add(other)
            other.needed_by.add(self)

    def moved(self, execution_context: int) -> None:
        """The group has another execution context now."""

    def held_references(self, top: str) -> set[int]:
        """The references of one hierarchy (`func`, `extern`) in its own tables and globals, as code holds them.

        The group's lock is held, and no guest of it runs.
        """
        return set()

    def roots(self) -> Roots:
        """Where its own tables, globals and element segments hold references to objects.

        The group's lock is held, and no guest of it runs.
        """
        return []

    def owns(self, reference: int) -> bool:
        """Whether the function record at that address is part of it."""
        return False

    def release(self) -> None:
        """Give memory and code back; nobody can reach them any more. The group's lock is held."""
        self.released = True
        for other in self.needs:
            other.needed_by.discard(self)
        self.needs.clear()
        self.group.leave(self)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the group's lock. Raises ClosedError if this is closed."""
        with turn_of(self):
            self.check_open()
            yield

    def check_open(self) -> None:
        """Raise ClosedError if this is closed."""
        if self.closed:
            raise ClosedError(f"{self.title} is closed")


def acquire_group(member: Member, call: Stoppable | None = None) -> LinkedGroup:
    """Wait for the lock of the member's group, whichever that is by then.

    Parameters:
        call: gives up with TerminatedError when it is stopped meanwhile.
    """
    while True:
        group = member.group
        while not group.lock.acquire(timeout=-1 if call is None else _TURN_POLL):
            if call is not None and call.reason is not None:
                raise TerminatedError(call.reason)
        if member.group is group:
            return group
        group.lock.release()


@contextmanager
def turn_of(member: Member, call: Stoppable | None = None) -> Iterator[LinkedGroup]:
    """Hold the lock of the member's group, as `acquire_group` gets it.

    Without `call` it is given back whatever a signal's handler raises at whichever moment: nothing but a `with`
    statement of the lock itself makes sure of that.
    """
    if call is None:
        while True:
            group = member.group
            with group.lock:
                if member.group is group:
                    yield group
                    return
    group = acquire_group(member, call)
    try:
        yield group
    finally:
        group.lock.release()


_JOIN_PATIENCE = 0.005
"""Seconds to wait for one group's lock while holding another's: waiting without end could be for ever."""


@contextmanager
def joined(members: Iterable[Member], call: Stoppable | None = None) -> Iterator[LinkedGroup]:
    """Make one group of all the members' groups, and hold its lock.

    It waits until no guest of any of them runs in another thread.

    Raises:
        ClosedError: a member is closed.
        ReentrancyError: guests of two of the groups are active in this thread.
        TerminatedError: `call` was stopped meanwhile.
    """
    group = _join(list(members), call)
    try:
        yield group
    finally:
        group.lock.release()


def _join(members: list[Member], call: Stoppable | None) -> LinkedGroup:
    while True:
        if call is not None and call.reason is not None:
            raise TerminatedError(call.reason)
        held: list[LinkedGroup] = []
        try:
            group = _try_join(members, held)
        finally:
            for other in held:
                other.lock.release()
        if group is not None:
            return group


def _try_join(members: list[Member], held: list[LinkedGroup]) -> LinkedGroup | None:
    """Join if all locks come free; None if not. Locks that the caller is to release are left in `held`."""
    for group in {id(member.group): member.group for member in members}.values():
        if not group.lock.acquire(timeout=_JOIN_PATIENCE):
            return None
        held.append(group)
    if not all(any(member.group is group for group in held) for member in members):
        return None  # merged by another thread meanwhile
    for member in members:
        member.check_open()
    # The group that runs in this thread stays: its guests have looked up its execution context.
    first, *others = sorted(held, key=lambda group: (group.depth, len(group.members)), reverse=True)
    if any(other.depth for other in others):
        raise ReentrancyError("cannot link instances while guests of both are active in this thread")
    for other in others:
        first.absorb(other)
    held.remove(first)
    return first
