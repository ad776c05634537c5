"""What the pool and its processes say to each other.

Control messages go over sockets that keep messages apart, with descriptors attached. A job has a channel, a stream: its
order goes one way, to its process, and its end comes back, from the module process. The answer is in a file, which is
looked at after a good end only. Orders are pickled. Answers are not: who compiles what a stranger wrote is not trusted
with that.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, NamedTuple

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.target import Target
from farcall.engine.lowering import LoweringOptions

READY = b"ready"
"""The template process's only message: it can fork."""
MODULE = struct.Struct("<iQ")
"""To the template process, with a control socket and a file with a module: niceness, bytes of memory of a process."""
JOB = b"job"
"""To a module process, with a job's channel, the file for its answer, and the file that is its standard error."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job process is to do: see `CompileJob`.

    Attributes:
        leisurely: whether it stands back further than others.
    """

    functions: tuple[int, ...]
    options: LoweringOptions
    optimization: Optimization
    seconds: int
    target: Target
    linked: bool
    leisurely: bool


class Outcome(IntEnum):
    """What a job process says of its job."""

    COMPILED = 0
    """Followed by an image or object."""
    EXHAUSTED = 1
    """The lowering refuses a function; this and the following are followed by a message."""
    OUT_OF_MEMORY = 2
    DEFECT = 3


class Answer(NamedTuple):
    """What a job process leaves in its file before it ends well.

    Attributes:
        content: an image's content, or an object; or a message.
        functions: an image's table of functions.
    """

    outcome: Outcome
    content: bytes
    functions: tuple[tuple[int, int, str], ...] = ()


class End(NamedTuple):
    """How a job process ended.

    Attributes:
        status: as wait tells it; None if it never began.
        seconds: processor time that it took.
        memory: bytes of memory that it had at most.
        message: why it never began.
    """

    status: int | None
    seconds: float = 0.0
    memory: int = 0
    message: str = ""


_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<BQ")
"""An answer's outcome and the size of its content; the table of functions follows in JSON."""


def send_order(channel: socket.socket, order: Order) -> None:
    """Send a job's order."""
    content = pickle.dumps(order)
    channel.sendall(_LENGTH.pack(len(content)) + content)


def receive_order(channel: socket.socket) -> Order | None:
    """A job's order, or None where nobody wants the job any more."""
    header = _receive(channel, _LENGTH.size)
    content = None if header is None else _receive(channel, _LENGTH.unpack(header)[0])
    if content is None:
        return None
    order = pickle.loads(content)
    assert isinstance(order, Order)
    return order


def write_answer(file: BinaryIO, answer: Answer) -> None:
    """Leave an answer in a file."""
    file.write(_HEADER.pack(answer.outcome, len(answer.content)))
    file.write(answer.content)
    file.write(json.dumps(answer.functions).encode())


def read_answer(file: BinaryIO) -> Answer:
    """The answer in a file."""
    outcome, size = _HEADER.unpack(file.read(_HEADER.size))
    content = file.read(size)
    functions = tuple([(offset, size, name) for offset, size, name in json.loads(file.read())])
    return Answer(Outcome(outcome), content, functions)


def send_end(channel: socket.socket, end: End) -> None:
    """Say how a job's process ended."""
    channel.sendall(json.dumps(end).encode())


def receive_end(channel: socket.socket) -> End | None:
    """How a job's process ended; None where nobody knows: the module process is gone, or the channel was closed."""
    content = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := channel.recv(4096):
            content += part
    return End(*json.loads(content)) if content else None


def _receive(channel: socket.socket, size: int) -> bytes | None:
    """So many bytes, or None where there are fewer."""
    content = bytearray(size)
    view = memoryview(content)
    while view:
        try:
            count = channel.recv_into(view)
        except ConnectionError:
            count = 0
        if not count:
            return None
        view = view[count:]
    return bytes(content)
