"""C compiled natively: shared libraries called through ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

from benchmarks.kernels import Kernel
from benchmarks.peers.peer import Peer

COMPILER = "gcc"
FLAGS = ("-std=c17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")

# Engines use what vector instructions the machine has. Multiplications and additions are not to be fused: WebAssembly
# has them apart.
VECTOR_FLAGS = ("-march=native", "-ffp-contract=off")


def compiler_version() -> str | None:
    """The first line of what the compiler says of itself; None where there is none."""
    if shutil.which(COMPILER) is None:
        return None
    told = subprocess.run([COMPILER, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.splitlines()[0]


def compile_natively(kernel: Kernel, directory: Path) -> Path:
    """Compile a kernel's source to a shared library in `directory`."""
    library = directory / f"{kernel.name}.so"
    flags = [*FLAGS, *VECTOR_FLAGS] if kernel.vectors else FLAGS
    subprocess.run([COMPILER, *flags, str(kernel.source), "-o", str(library), "-lm"], check=True)
    return library


class NativePeer(Peer):
    """gcc -O2."""

    def kernel(self, path: str) -> Callable[[int], int]:
        run = ctypes.CDLL(path).run
        run.argtypes, run.restype = [ctypes.c_int32], ctypes.c_int64
        return cast(Callable[[int], int], run)
