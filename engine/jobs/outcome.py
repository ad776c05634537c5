"""What the end of a job's process means: an image, or one of the errors."""

from __future__ import annotations

import os
import signal
from typing import BinaryIO

from farcall.engine.codegen.linker import Image
from farcall.engine.errors import (
    CompileLimitError,
    CompilerCrashError,
    EngineBug,
    ExhaustionError,
    functions_text,
)
from farcall.engine.jobs.job import CompiledImage, CompileJob
from farcall.engine.jobs.protocol import Answer, End, Outcome, read_answer

_SIGNS_OF_EXHAUSTION = ("out of memory", "bad_alloc", "Cannot allocate memory", "MemoryError")
"""What LLVM, the C++ library and Python say when they get no memory."""
_SAID = 300
"""Characters of a process's last words that are told."""


def result_of(
    job: CompileJob, end: End | None, answers: BinaryIO, said: BinaryIO, memory_limit: int
) -> CompiledImage:
    """What a job gave.

    Parameters:
        end: how its process ended, or None if nobody knows.
        answers: what it left there counts after a good end only.
        said: what it wrote to its standard error.

    Raises:
        CompileLimitError: it took more time or memory than it may.
        ExhaustionError: a function is too complex for the lowering, or the system has no process for the job.
        CompilerCrashError: its process, or the module's, ended.
        EngineBug: a defect of farcall, told by the process.
    """
    if end is None:
        raise CompilerCrashError(job.functions, "the process that has the module ended")
    if end.status is None:
        raise ExhaustionError(end.message)
    if end.status != 0:
        raise _error_of(job, end, said.read().decode(errors="replace"), memory_limit)
    return _result_of_answer(job, end, read_answer(answers), memory_limit)


def _result_of_answer(job: CompileJob, end: End, answer: Answer, memory_limit: int) -> CompiledImage:
    match answer.outcome:
        case Outcome.COMPILED:
            image = Image(answer.content, answer.functions) if job.linked else None
            return CompiledImage(image, None if job.linked else answer.content, end.seconds, end.memory)
        case Outcome.OUT_OF_MEMORY:
            raise CompileLimitError(job.functions, "memory", memory_limit)
        case Outcome.EXHAUSTED:
            raise ExhaustionError(answer.content.decode())
        case Outcome.DEFECT:
            functions = functions_text(job.functions)
            raise EngineBug(f"{functions} could not be compiled:\n{answer.content.decode()}")


def _error_of(job: CompileJob, end: End, said: str, memory_limit: int) -> Exception:
    assert end.status is not None
    number = os.WTERMSIG(end.status) if os.WIFSIGNALED(end.status) else None
    if number == signal.SIGXCPU:
        assert job.seconds is not None
        return CompileLimitError(job.functions, "time", job.seconds)
    if any(sign in said for sign in _SIGNS_OF_EXHAUSTION):
        return CompileLimitError(job.functions, "memory", memory_limit)
    if number is None:
        how = f"its process ended with status {os.waitstatus_to_exitcode(end.status)}"
    else:
        how = f"its process was ended by {signal.Signals(number).name}"
    last_words = " ".join(said.split())[-_SAID:]
    return CompilerCrashError(job.functions, f"{how}: {last_words}" if last_words else how)
