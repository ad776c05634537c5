"""What a client has sent as a program's standard input, and the program has not read."""

from __future__ import annotations

import asyncio
import contextlib

from farcall.engine.host.wasi.errno import WasiError
from farcall.engine.host.wasi.streams import ByteQueue

CAPACITY = 1 << 18
"""Bytes that wait for the guest before the server reads no more from the client."""


class ProgramInput:
    """A bounded queue from the event loop to the guest. Used by the event loop's thread only.

    Attributes:
        stream: the guest's end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stream = ByteQueue(CAPACITY)
        self._room = asyncio.Event()
        self._waits = False
        self.stream.add_waker(self._guest_has_read)

    def _guest_has_read(self) -> None:
        """In the guest's thread, mostly."""
        if self._waits:
            self._waits = False
            self._loop.call_soon_threadsafe(self._room.set)

    async def write(self, data: bytes) -> None:
        """Queue input, as soon as there is room; nothing where the guest reads no more."""
        with contextlib.suppress(WasiError):
            while True:
                # In this order: who reads after the second line wakes us.
                self._room.clear()
                self._waits = True
                if self.stream.put(data):
                    return
                await self._room.wait()

    def end(self) -> None:
        """No more comes."""
        self.stream.end()
