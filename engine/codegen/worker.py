"""The process that compiles what may take LLVM long: `python -m farcall.engine.codegen.worker`.

LLVM cannot be interrupted, but a process can be ended: the system does it when a request has used up its processor
time. Requests come on standard input, answers go to standard output; the end of the input is the end of the process.
"""

from __future__ import annotations

import resource
import struct
import sys
from typing import BinaryIO

from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.target import Target

REQUEST = struct.Struct("<IIIIIQ")
"""Optimization, seconds of processor time, then the bytes of triple, CPU name, features and LLVM IR, which follow."""
ANSWER = struct.Struct("<BQ")
"""Whether it is compiled, then the bytes of what follows: the object, or what LLVM has against the text."""
READY = b"\1"
"""Comes once, before all answers."""
MEMORY_LIMIT = 4 << 30
"""Bytes of address space that the process may have."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    answers.write(READY)
    answers.flush()
    while header := requests.read(REQUEST.size):
        optimization, seconds, *sizes = REQUEST.unpack(header)
        triple, cpu, features, text = (requests.read(size).decode() for size in sizes)
        _allow(seconds)
        try:
            compiled, content = (
                True,
                compile_to_object(text, Target(triple, cpu, features), Optimization(optimization)),
            )
        except RuntimeError as error:
            compiled, content = False, str(error).encode()
        answers.write(ANSWER.pack(compiled, len(content)) + content)
        answers.flush()


def _allow(seconds: int) -> None:
    """Let the process use so much more processor time; the system ends it when that is over."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def main() -> None:
    """Run the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
