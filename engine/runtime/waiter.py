"""How a host function sleeps, so that whatever it waits for wakes it, and a request to stop its guest too.

A host function that blocks would hold its guest for as long as it likes: the request to stop makes a page inaccessible
that only guests read. So it sleeps here, in one system call that waits for descriptors of the operating system and for
an event of its own. A request to stop sets the event, as does what is no descriptor and becomes ready.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from farcall.engine.errors import TerminatedError
from farcall.engine.runtime.native import c_library

if TYPE_CHECKING:
    from farcall.engine.runtime.linked_group import LinkedGroup


class Waiter:
    """Where the host functions of one instance sleep.

    It has a descriptor of the operating system from its first sleep until `close`, or until it is dropped.
    """

    def __init__(self, group: Callable[[], LinkedGroup]) -> None:
        """Make one.

        Parameters:
            group: the linked group of the instance, as of now.
        """
        self._group = group
        # Reentrant: a handler of a signal may ask for a stop in the middle of this thread's own waking.
        self._lock = threading.RLock()
        self._event = -1  # guarded by _lock
        self._close: Callable[[], object] = _nothing

    def wake(self) -> None:
        """End the sleep that is under way, if one is, from any thread; also one that is about to begin."""
        # Whoever wakes does not know that the instance is being closed; its number may be another file's by then.
        with self._lock:
            if self._event >= 0:
                os.eventfd_write(self._event, 1)

    def wait(
        self, interests: Sequence[tuple[int, int]] = (), deadline: int | None = None
    ) -> list[tuple[int, int]]:
        """Sleep until a descriptor is ready, somebody called `wake`, or the time is over.

        Whoever relies on `wake` calls `prepare` first, then makes itself known to whoever is to call it, then looks
        whether there is anything to wait for, and then calls this.

        Parameters:
            interests: descriptors of the operating system, and the events of `select.poll` that are waited for.
            deadline: nanoseconds on the monotonic clock (`time.monotonic_ns`); None for no end.

        Returns:
            The descriptors that are ready, and their events; empty after `wake` or the deadline.

        Raises:
            TerminatedError: the guest is to stop.
        """
        self.prepare()
        group = self._group()
        # First known as somebody who waits, then a look: a request to stop comes before the look, or sees who waits.
        with group.waking(self.wake):
            reason = group.stop_reason
            if reason is None:
                ready = c_library.poll_descriptors([(self._event, c_library.POLLIN), *interests], deadline)
                reason = group.stop_reason
        if reason is not None:
            raise TerminatedError(reason)
        if ready and ready[0][0] == self._event:
            os.eventfd_read(self._event)
            del ready[0]
        return ready

    def check(self) -> None:
        """Raise TerminatedError if the guest is to stop: of what takes long without sleeping."""
        reason = self._group().stop_reason
        if reason is not None:
            raise TerminatedError(reason)

    def sleep_until(self, deadline: int) -> None:
        """Sleep until a time on the monotonic clock, in nanoseconds. Raises TerminatedError."""
        while time.monotonic_ns() < deadline:
            self.wait((), deadline)

    def wait_for(self, is_ready: Callable[[], bool], deadline: int | None = None) -> bool:
        """Sleep until `is_ready`, which is asked again after every `wake`; whether it was before the deadline.

        Raises:
            TerminatedError: the guest is to stop.
        """
        self.prepare()
        while not is_ready():
            if deadline is not None and time.monotonic_ns() >= deadline:
                return False
            self.wait((), deadline)
        return True

    def prepare(self) -> None:
        """Make sure that `wake` is noticed from now on."""
        if self._event < 0:
            self._event = event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._close = weakref.finalize(self, os.close, event)

    def close(self) -> None:
        """Give its descriptor back. Nobody sleeps here any more."""
        with self._lock:
            self._event = -1
            self._close()


def _nothing() -> None:
    pass
