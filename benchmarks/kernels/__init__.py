"""The kernels: C sources, the WebAssembly compiled from them, and how much work each is given.

`make kernels` compiles the sources anew; what it writes is committed, so that measuring needs no compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and the work it is given.

    Attributes:
        name: of its source, `<name>.c`.
        subject: what it stresses.
        argument: what `run` is called with: so much that a run takes 20 to 100 ms on the machine at hand.
        vectors: whether it is about vector instructions.
    """

    name: str
    subject: str
    argument: int
    vectors: bool = False

    @property
    def source(self) -> Path:
        """The C source."""
        return DIRECTORY / f"{self.name}.c"

    @property
    def wasm(self) -> Path:
        """The WebAssembly module compiled from it."""
        return DIRECTORY / f"{self.name}.wasm"


KERNELS = (
    Kernel("collatz", "integer", 300_000),
    Kernel("queens", "integer, recursion", 13),
    Kernel("interpreter", "integer, switch", 30_000_000),
    Kernel("mandelbrot", "float", 500),
    Kernel("nbody", "float", 700_000),
    Kernel("matmul", "float, memory", 400),
    Kernel("sieve", "memory, stride", 8),
    Kernel("memory_sweep", "memory-bound", 12),
    Kernel("fibonacci", "recursion", 36),
    Kernel("tak", "recursion", 500),
    Kernel("indirect_calls", "indirect calls", 6_000_000),
    Kernel("sha256", "hashing", 10),
    Kernel("crc32", "hashing, table", 15),
    Kernel("words", "hashing, strings", 1_500_000),
    Kernel("pointer_chase", "pointer-chasing", 8_000_000),
    Kernel("binary_trees", "allocation", 250),
    Kernel("quicksort", "sorting", 1_000_000),
)

VECTOR_KERNELS = (
    Kernel("vector_mandelbrot", "float", 700, vectors=True),
    Kernel("vector_dot_product", "float, memory", 150_000, vectors=True),
    Kernel("vector_matmul", "float, splat", 120, vectors=True),
    Kernel("vector_blur", "bytes, widening", 400, vectors=True),
    Kernel("vector_hash", "hashing, shuffle", 400_000, vectors=True),
    Kernel("vector_utf8", "bytes, swizzle", 4000, vectors=True),
)
"""Kernels of vector instructions, which have a target of their own."""
