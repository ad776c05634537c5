"""Linked groups: instances that share functions, memories, tables or globals, and therefore take turns.

Calls into one group are serialised by its lock. Its execution context is a page that every termination check of its
guests reads: to stop them, the page is made inaccessible.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from farcall.engine.errors import ClosedError, ReentrancyError, TerminatedError
from farcall.engine.runtime.native import c_library
from farcall.engine.runtime.native.machine import native_runtime

if TYPE_CHECKING:
    from farcall.engine.runtime.stoppable import Stoppable

_ACCESSIBLE = c_library.PROT_READ | c_library.PROT_WRITE
_TURN_POLL = 0.01
"""Seconds between two looks at whether a call that waits for its turn has been stopped."""


class LinkedGroup:
    """A group; `Member.group` points to it, and to another one after a merge.

    Attributes:
        lock: held while a guest of the group runs, and by whatever reads or changes the group's memories.
        depth: how many calls are active, one inside the other through host functions. Guarded by `lock`.
        members: who belongs to it. Guarded by `lock`.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0
        self.members: set[Member] = set()
        self._interruption = threading.Lock()
        self._running: list[Stoppable] = []  # guarded by _interruption
        self._closing: str | None = None  # guarded by _interruption
        self._protected = False  # guarded by _interruption
        self._pages = [native_runtime().space.contexts.acquire()]  # guarded by lock

    @property
    def execution_context(self) -> int:
        """Address of the page that new members' guests look at."""
        return self._pages[0]

    def begin(self, call: Stoppable) -> None:
        """A call that can be stopped begins. Raises TerminatedError if it has been stopped already."""
        with self._interruption:
            if call.reason is not None:
                raise TerminatedError(call.reason)
            self._running.append(call)

    def end(self, call: Stoppable) -> None:
        """That call ended; guests that nobody asked to stop may go on."""
        with self._interruption:
            self._running.remove(call)
            self._update_protection()

    def interrupt(self, call: Stoppable) -> None:
        """Stop the guests of `call`, whose reason is set, if it runs."""
        with self._interruption:
            if call in self._running:
                self._update_protection()

    def stop_calls_into(self, member: Member, reason: str) -> None:
        """Stop the running calls whose function belongs to `member`, and no others."""
        with self._interruption:
            calls = [call for call in self._running if call.target is member]
        for call in calls:
            call.terminate(reason)

    @contextmanager
    def closing(self, reason: str) -> Iterator[None]:
        """Stop whatever guest of the group runs, and hold the lock."""
        with self._interruption:
            self._closing = reason
            self._update_protection()
        try:
            with self.lock:
                with self._interruption:
                    self._closing = None
                    self._update_protection()
                yield
        finally:
            with self._interruption:
                self._closing = None
                self._update_protection()

    @property
    def reason(self) -> str:
        """Why guests are being stopped."""
        with self._interruption:
            reasons = [call.reason for call in self._running if call.reason is not None]
            return self._closing or next(iter(reasons), "stopped")

    def _update_protection(self) -> None:
        wanted = self._closing is not None or any(call.reason is not None for call in self._running)
        if wanted != self._protected:
            access = c_library.PROT_NONE if wanted else _ACCESSIBLE
            for page in self._pages:
                c_library.protect_memory(page, c_library.PAGE_SIZE, access)
            self._protected = wanted

    def absorb(self, other: LinkedGroup) -> None:
        """Take over the members of `other`; both locks are held, and no guest of `other` runs."""
        with other._interruption:
            contexts = native_runtime().space.contexts
            for page in other._pages:
                contexts.release(page)
            other._pages = []
        for member in other.members:
            member.group = self
            member.moved(self.execution_context)
        self.members |= other.members
        other.members = set()

    def leave(self, member: Member) -> None:
        """A member is gone; the last one's page goes back. The lock is held."""
        self.members.discard(member)
        if not self.members and not self.depth:
            contexts = native_runtime().space.contexts
            for page in self._pages:
                contexts.release(page)
            self._pages = []


class Member:
    """Something of a linked group: an instance's engine, or a memory, table or global made by the embedder.

    Attributes:
        group: the group that it belongs to now; read it again once its lock is held.
        closed: whether its user has closed it. What others still use of it lives on.
        released: whether its memory has been given back.
        needs: members whose code or memory this one refers to, and that must not be released before it.
        needed_by: the other direction.
    """

    def __init__(self) -> None:
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
        group = acquire_group(self)
        try:
            if self.closed:
                raise ClosedError(f"{self.title} is closed")
            yield
        finally:
            group.lock.release()


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


_merging = threading.Lock()
_MERGE_POLL = 0.005


@contextmanager
def joined(members: list[Member], call: Stoppable | None = None) -> Iterator[LinkedGroup]:
    """Make one group of all the members' groups, and hold its lock.

    It waits until no guest of any of them runs in another thread.
    """
    group = _join(members, call)
    try:
        yield group
    finally:
        group.lock.release()


def _join(members: list[Member], call: Stoppable | None) -> LinkedGroup:
    while True:
        with _merging:
            group = _try_join(members)
        if group is not None:
            return group
        if call is not None and call.reason is not None:
            raise TerminatedError(call.reason)
        threading.Event().wait(_MERGE_POLL)


def _try_join(members: list[Member]) -> LinkedGroup | None:
    """Join if all locks are free at once: waiting for one while holding another could wait for ever."""
    groups = list({id(member.group): member.group for member in members}.values())
    # The group that runs in this thread stays: its guests have looked up its execution context.
    groups.sort(key=lambda group: (group.depth, len(group.members)), reverse=True)
    held: list[LinkedGroup] = []
    for group in groups:
        if not group.lock.acquire(blocking=False):
            for other in held:
                other.lock.release()
            return None
        held.append(group)
    first, *others = held
    if any(other.depth for other in others):
        for group in held:
            group.lock.release()
        raise ReentrancyError("cannot link instances while guests of both are active in this thread")
    for other in others:
        first.absorb(other)
        other.lock.release()
    return first
