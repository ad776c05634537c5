"""What compiled code depends on beside its module and options: the versions of farcall and LLVM."""

from __future__ import annotations

import functools
import hashlib
import os
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
    for directory, subdirectories, files in os.walk(_ENGINE):
        subdirectories.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                path = os.path.join(directory, name)
                digest.update(os.path.relpath(path, _ENGINE).replace(os.sep, "/").encode() + b"\0")
                with open(path, "rb") as file:
                    digest.update(hashlib.sha256(file.read()).digest())
    llvm_version = ".".join(map(str, llvm.llvm_version_info))
    return f"farcall {metadata.version('farcall')}, LLVM {llvm_version}, {digest.hexdigest()[:16]}"
