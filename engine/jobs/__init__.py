"""Compile jobs: some functions of a module to an image, in processes of their own, with limits.

::

    CompilePool ──starts──> template process    has everything imported, runs nothing
                                │ forks
                                ├── module process    has one module decoded
                                │       │ forks
                                │       ├── job process    lowers, compiles and links some of its functions, and ends
                                │       └── job process
                                └── module process

The system limits the processor time and the memory of a job process, and closing its channel ends it; whatever becomes
of it, nobody else is concerned. What is dear, imports and decoding, is done once, before the fork.
"""

from farcall.engine.jobs.batches import LARGE_CODE_BYTES, allowed_seconds, split_into_batches
from farcall.engine.jobs.job import AHEAD, BACKGROUND, FOREGROUND, LEISURE, CompiledImage, CompileJob
from farcall.engine.jobs.job_group import JobGroup
from farcall.engine.jobs.pool import CompilePool, CompilePoolStatistics, CompileTicket

__all__ = [
    "AHEAD",
    "BACKGROUND",
    "FOREGROUND",
    "LARGE_CODE_BYTES",
    "LEISURE",
    "CompileJob",
    "CompilePool",
    "CompilePoolStatistics",
    "CompileTicket",
    "CompiledImage",
    "JobGroup",
    "allowed_seconds",
    "split_into_batches",
]
