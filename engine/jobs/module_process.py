"""A module process: has one module decoded, and forks a process for each job."""

from __future__ import annotations

import contextlib
import gc
import os
import socket

from farcall.engine.binary import decode_module
from farcall.engine.jobs.children import Ended, Forker
from farcall.engine.jobs.job_process import run_job
from farcall.engine.jobs.protocol import End, send_end
from farcall.engine.structure.module import Module

_STANDARD_ERROR = 2


def _module_from(source: int) -> Module:
    with os.fdopen(source, "rb") as file:
        return decode_module(file.read())


def _tell(channel: socket.socket, end: End) -> None:
    """Say how a job ended; it is the last that is said of it."""
    with channel, contextlib.suppress(OSError):  # nobody listens where the job was cancelled
        send_end(channel, end)


def serve_module(control: socket.socket, source: int, memory_limit: int) -> None:
    """Decode the module in the file `source`, which has been validated, and run jobs until there are no more.

    Parameters:
        memory_limit: bytes of address space that a job's process may have.
    """
    module = _module_from(source)
    gc.freeze()  # the collector would touch, and so copy, what forked processes share
    forker = Forker(control)
    running: dict[int, socket.socket] = {}
    for event in forker.events():
        if isinstance(event, Ended):
            end = End(event.status, event.seconds, event.memory)
            _tell(running.pop(event.process), end)
            continue
        descriptor, answer, said = event.descriptors
        channel = socket.socket(fileno=descriptor)

        def run(channel: socket.socket = channel, answer: int = answer, said: int = said) -> None:
            os.dup2(said, _STANDARD_ERROR)
            for other in running.values():  # theirs ends when they end, not when this one does
                other.close()
            run_job(channel, answer, module, memory_limit)

        try:
            running[forker.fork(run)] = channel
        except OSError as error:
            _tell(channel, End(None, message=f"no process can be started: {error}"))
        os.close(answer)
        os.close(said)
