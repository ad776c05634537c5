"""Work that another thread can stop."""

from __future__ import annotations

from collections.abc import Iterator
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

    @contextmanager
    def running_in(self, group: LinkedGroup, target: Member) -> Iterator[None]:
        """While a function of `target`, in `group`, whose lock is held, runs for this."""
        self._groups.append(group)
        try:
            with group.running(target, self):
                yield
        finally:
            self._groups.remove(group)
