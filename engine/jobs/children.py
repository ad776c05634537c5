"""A process that waits for messages and forks, without threads: those that it forks can do anything."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

_LONGEST_MESSAGE = 64
_MOST_DESCRIPTORS = 3


class Message(NamedTuple):
    """A control message, and the descriptors that came with it."""

    content: bytes
    descriptors: list[int]


class Ended(NamedTuple):
    """A process that ended: its id, how (as wait tells it), and what it used."""

    process: int
    status: int
    seconds: float
    memory: int


class Forker:
    """Waits for messages and for the ends of the processes that it forked."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._children: set[int] = set()
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake)

    def fork(self, run: Callable[[], None]) -> int:
        """The id of a new process that does nothing but `run`."""
        process = os.fork()
        if process == 0:
            status = 1
            try:
                self._leave()
                run()
                status = 0
            except BaseException:
                traceback.print_exc()  # where its standard error is kept, somebody reads it
            finally:
                os._exit(status)  # none of what the parent has to do at its end is the child's
        self._children.add(process)
        return process

    def _leave(self) -> None:
        """In a forked process: have nothing of the parent's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._control.close()
        os.close(self._woken)
        os.close(self._wake)

    def events(self) -> Iterator[Message | Ended]:
        """Messages and ends as they come, until nobody sends messages any more."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    content, descriptors, _flags, _address = socket.recv_fds(
                        self._control, _LONGEST_MESSAGE, _MOST_DESCRIPTORS
                    )
                    if not content:
                        return
                    yield Message(content, descriptors)
                else:
                    os.read(self._woken, 4096)
                    yield from self._ended()

    def _ended(self) -> Iterator[Ended]:
        for child in list(self._children):
            process, status, usage = os.wait4(child, os.WNOHANG)
            if process:
                self._children.discard(process)
                yield Ended(process, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)
