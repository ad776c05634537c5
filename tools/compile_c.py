"""Compiles the C sources of the examples, of the benchmarks' kernels and of tests' programs to WebAssembly.

Run as `python tools/compile_c.py examples|kernels|programs` (the Makefile's targets of these names). The compiler
is clang as the PyPI package `ziglang` brings it (in the `dev` extra), so the same sources give the same bytes
wherever they are built.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
KERNELS = ROOT / "benchmarks" / "kernels"
TEST_PROGRAMS = ROOT / "tests" / "engine" / "host" / "wasi" / "programs"

ZIG = [sys.executable, "-m", "ziglang"]

# Freestanding: no C library and no main. Debug information is left out, the names of functions stay in: backtraces
# show them.
COMPILER = [
    *ZIG,
    "cc",
    "-target",
    "wasm32-freestanding",
    "-std=c17",
    "-O2",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror",
]
PROGRAM_COMPILER = [
    *ZIG,
    "cc",
    "-target",
    "wasm32-wasi",
    "-std=c17",
    "-O2",
    "-s",
    "-Wall",
    "-Wextra",
    "-Werror",
]
"""For programs, which have a C library and a main. Nothing but the code is left in: the C library's names are many."""

VECTORS = ["-O3", "-msimd128"]
"""Beside the above, for the kernels of vector instructions."""

LINKER = [*ZIG, "wasm-ld", "--no-entry"]

# The two examples share one memory; examples/library.c draws it. Sizes and addresses in bytes.
LIBRARY_STACK = 64 * 1024
APPLICATION_BASE = LIBRARY_STACK
APPLICATION_STACK = 64 * 1024
LIBRARY_BASE = 512 * 1024

LIBRARY_FLAGS = ["--export-memory", "--stack-first", "-z", f"stack-size={LIBRARY_STACK}",
                 f"--global-base={LIBRARY_BASE}", "--export=__global_base", "--export=__heap_base"]  # fmt: skip
# The memory is imported as "env" "memory", and must be as large as what this module puts into it.
APPLICATION_FLAGS = ["--import-memory", "--no-stack-first", "-z", f"stack-size={APPLICATION_STACK}",
                     f"--global-base={APPLICATION_BASE}", "--export=__global_base", "--export=__heap_base"]  # fmt: skip


def compile_to_wasm(source: Path, flags: list[str], compiler_flags: Sequence[str] = ()) -> None:
    """Compile and link one source to the .wasm file beside it."""
    target = source.with_suffix(".wasm")
    with tempfile.TemporaryDirectory() as directory:
        compiled = Path(directory) / f"{source.stem}.o"
        subprocess.run(
            [*COMPILER, *compiler_flags, "-c", source.name, "-o", compiled], check=True, cwd=source.parent
        )
        subprocess.run([*LINKER, *flags, compiled, "-o", target.name], check=True, cwd=source.parent)
    target.chmod(0o644)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


def compile_program(source: Path) -> None:
    """Compile a program for WASI, with its C library, to the .wasm file beside it."""
    target = source.with_suffix(".wasm")
    subprocess.run([*PROGRAM_COMPILER, source.name, "-o", target.name], check=True, cwd=source.parent)
    target.chmod(0o644)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


def compile_examples() -> None:
    """The library, the application and the programs of examples/."""
    compile_to_wasm(EXAMPLES / "library.c", LIBRARY_FLAGS)
    compile_to_wasm(EXAMPLES / "application.c", APPLICATION_FLAGS)
    for name in ("word_count.c", "tally.c"):
        compile_program(EXAMPLES / name)


def compile_kernels() -> None:
    """Every kernel of benchmarks/kernels/."""
    for source in sorted(KERNELS.glob("*.c")):
        compile_to_wasm(source, ["--export-memory"], VECTORS if source.name.startswith("vector_") else [])


def compile_test_programs() -> None:
    """The programs by which WASI is tested."""
    for source in sorted(TEST_PROGRAMS.glob("*.c")):
        compile_program(source)


def main() -> None:
    """Compile what the command line names."""
    groups = {"examples": compile_examples, "kernels": compile_kernels, "programs": compile_test_programs}
    parser = argparse.ArgumentParser(
        description="Compile committed C sources to the .wasm files beside them."
    )
    parser.add_argument("group", choices=groups)
    groups[parser.parse_args().group]()


if __name__ == "__main__":
    main()
