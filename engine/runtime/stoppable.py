"""Work that another thread can stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farcall.engine.runtime.linked_group import LinkedGroup, Member


class Stoppable:
    """Base of invocations and instantiations.

    Attributes:
        reason: why it has been stopped, or None.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._groups: list[LinkedGroup] = []
        self._wakers: list[Callable[[], object]] = []

    def terminate(self, reason: str) -> None:
        """Stop the work: before it runs it will not, while it runs it ends with TerminatedError; later, nothing.

        Parameters:
            reason: for the error's message.
        """
        # The order matters: whoever begins after this line sees the reason, whoever began before is in the list.
        if self.reason is None:
            self.reason = reason
        for group in tuple(self._groups):
            group.interrupt(self)
        for wake in tuple(self._wakers):
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """While a host function that this work has called waits: what wakes it when the work is stopped.

        Parameters:
            wake: called by the thread that stops, or at once where that has been done; it must not wait.
        """
        # The order is that of `terminate` turned round, so that one of the two sees the other.
        self._wakers.append(wake)
        try:
            if self.reason is not None:
                wake()
            yield
        finally:
            self._wakers.remove(wake)

    @contextmanager
    def running_in(self, group: LinkedGroup, target: Member) -> Iterator[None]:
        """While a function of `target`, in `group`, whose lock is held, runs for this."""
        self._groups.append(group)
        try:
            with group.running(target, self):
                yield
        finally:
            self._groups.remove(group)
