"""The template process: `python -m farcall.engine.jobs.template DESCRIPTOR`.

It has everything imported that compiling takes, which costs a third of a second, and forks module processes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
from pathlib import Path

from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.target import host_target
from farcall.engine.jobs.children import Forker, Message
from farcall.engine.jobs.module_process import serve_module
from farcall.engine.jobs.protocol import MODULE, READY

_OUT_OF_MEMORY_SCORE = "500"
"""When the system runs out of memory, it ends processes of the highest score: a job rather than the server."""


_ANY_FUNCTION = "define i64 @any(i64 %value) { ret i64 %value }"


def serve(control: socket.socket) -> None:
    """Fork a module process for each message."""
    forker = Forker(control)
    for event in forker.events():
        if isinstance(event, Message):
            niceness, memory_limit = MODULE.unpack(event.content)
            channel, source = event.descriptors

            def run(niceness: int = niceness, memory_limit: int = memory_limit, source: int = source) -> None:
                os.nice(niceness)
                serve_module(socket.socket(fileno=channel), source, memory_limit)  # noqa: B023 - run at once

            with contextlib.suppress(OSError):  # no process: whoever waits for it sees its socket closed
                forker.fork(run)
            os.close(channel)
            os.close(source)


def main() -> None:
    """Run the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
    compile_to_object(
        _ANY_FUNCTION, host_target(), Optimization.FAST
    )  # what LLVM makes at first use is made here, once
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(READY)
    serve(control)


if __name__ == "__main__":
    main()
