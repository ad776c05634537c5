"""Programs for AArch64 Linux, compiled from C and run under an emulator."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_TO_AARCH64 = ["-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static", "-O1", "-w"]


def aarch64_command(text: str, definitions: Mapping[str, object], directory: Path) -> list[str]:
    """The command that runs a C program with these macros defined; the test is skipped where that cannot be made.

    The compiler for AArch64 spends half a minute on itself the first time in a directory.
    """
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("no emulator of AArch64 is here: install qemu-user (Debian's name for it)")
    pytest.importorskip("ziglang", reason="no compiler for AArch64 is here: install farcall[dev]")
    source, program = directory / "program.c", directory / "program"
    source.write_text("".join(f"#define {name} {value}\n" for name, value in definitions.items()) + text)
    caches = {name: str(directory) for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "HOME")}
    subprocess.run(
        [sys.executable, *_TO_AARCH64, "-o", program, source],
        check=True,
        timeout=900,
        env={"PATH": "/usr/bin:/bin", **caches},
    )
    return [emulator, str(program)]
