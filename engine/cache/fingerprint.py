"""What compiled code depends on beside its module and options: the versions of farcall and LLVM."""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

from llvmlite import binding as llvm

_ENGINE = Path(__file__).resolve().parents[1]


@functools.cache
def compiler_fingerprint() -> str:
    """Names this version of the compiler: farcall's sources, whatever their version is called, and LLVM's version.

    Code of another version must not be used: its layouts and conventions may differ.
    """
    digest = hashlib.sha256()
    for path in sorted(_ENGINE.rglob("*.py")):
        digest.update(path.relative_to(_ENGINE).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    llvm_version = ".".join(map(str, llvm.llvm_version_info))
    return f"farcall {metadata.version('farcall')}, LLVM {llvm_version}, {digest.hexdigest()[:16]}"
