"""A job process: lowers, compiles and links some functions of a module, once."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import threading
import traceback

from farcall.engine.abi.layout import context_layout
from farcall.engine.codegen.compiler import compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.errors import ExhaustionError
from farcall.engine.jobs.batches import bodies_of
from farcall.engine.jobs.protocol import Answer, Order, Outcome, receive_order, write_answer
from farcall.engine.jobs.standing_back import stand_back
from farcall.engine.lowering import lower_functions
from farcall.engine.structure.module import Module

_C_LIBRARY = ctypes.CDLL(None)
_SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG, of prctl."""
_NOT_WANTED = 3
"""Exit status of a process whose job was cancelled."""


def run_job(channel: socket.socket, file: int, module: Module, memory_limit: int) -> None:
    """Do what the channel says, and leave the answer in a file, given by its descriptor."""
    # Without the module process nobody is told how this one ends.
    _C_LIBRARY.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    order = receive_order(channel)
    if order is None:
        return
    if order.leisurely:
        stand_back()
    threading.Thread(target=_end_when_unwanted, args=(channel,), daemon=True).start()
    _limit(resource.RLIMIT_AS, memory_limit)
    _limit(resource.RLIMIT_CPU, order.seconds)
    with os.fdopen(file, "wb") as answers:
        write_answer(answers, _answer(module, order))


def _limit(kind: int, wanted: int) -> None:
    """Have the system limit what this process uses."""
    _soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _end_when_unwanted(channel: socket.socket) -> None:
    """End this process when the channel is closed: nobody waits for the job, or the pool's process is gone.

    LLVM cannot be interrupted, but llvmlite lets other threads run meanwhile.
    """
    try:
        channel.recv(1)
    finally:
        os._exit(_NOT_WANTED)


def _answer(module: Module, order: Order) -> Answer:
    try:
        return _compile(module, order)
    except ExhaustionError as error:
        return Answer(Outcome.EXHAUSTED, str(error).encode())
    except MemoryError:
        return Answer(Outcome.OUT_OF_MEMORY, b"")
    except Exception:
        return Answer(Outcome.DEFECT, traceback.format_exc().encode())


def _compile(module: Module, order: Order) -> Answer:
    bodies = bodies_of(module, order.functions)
    text = lower_functions(module, context_layout(module), order.options, bodies)
    content = compile_to_object(text, order.target, order.optimization)
    if not order.linked:
        return Answer(Outcome.COMPILED, content)
    image = link([read_object(content)])
    return Answer(Outcome.COMPILED, bytes(image.content), tuple(image.functions))
