"""The keys of entries: all that what is in them depends on."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import marshal
import sys
from collections.abc import Iterable
from pathlib import Path

import llvmlite
from llvmlite import binding as llvm

import farcall.engine.structure as engine_part
from farcall.engine.codegen.target import Target

_DECIDING = (
    *("abi", "binary", "cache", "codegen", "engine.py", "errors.py", "instructions", "lowering"),
    *("runtime/native", "structure", "tiers", "validation"),
)
"""What of the engine decides on what is decoded, accepted and compiled; what is not there is left out."""


@functools.cache
def sources_digest() -> bytes:
    """A digest of the engine's sources that decide on entries: an edit makes all entries old. Read once."""
    root = Path(engine_part.__file__).parent.parent
    state = hashlib.sha256()
    for name in _DECIDING:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
            if file.is_file():
                content = file.read_bytes()
                state.update(f"{file.relative_to(root)} {len(content)}\n".encode())
                state.update(content)
    return state.digest()


def _engine_version() -> str:
    try:
        return importlib.metadata.version("farcall")
    except importlib.metadata.PackageNotFoundError:  # run from sources that are not installed
        return "unknown"


@functools.cache
def _environment() -> bytes:
    """The engine and the libraries it works with; the interpreter because of `marshal`."""
    versions = (
        _engine_version(),
        llvmlite.__version__,
        ".".join(map(str, llvm.llvm_version_info)),
        sys.implementation.cache_tag or "",
        f"marshal {marshal.version}",
        sys.byteorder,
    )
    return _digest([sources_digest(), *(version.encode() for version in versions)])


def _digest(parts: Iterable[bytes]) -> bytes:
    """A digest of parts, which no other parts give."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def metadata_key(module_digest: str, disabled_features: Iterable[str]) -> str:
    """The key of a decoded and validated module: it may be invalid where other features are disabled."""
    names = sorted(disabled_features)
    return _digest(
        [b"metadata", _environment(), module_digest.encode(), *(name.encode() for name in names)]
    ).hex()


def code_key(module_digest: str, options: Iterable[str], target: Target) -> str:
    """The key of a module's code.

    Parameters:
        options: all that code depends on beside the module and the machine, in words.
        target: whose features are in the key too: no other machine finds code that needs them.
    """
    return _digest(
        [
            b"code",
            _environment(),
            module_digest.encode(),
            *_machine(target),
            *(option.encode() for option in options),
        ]
    ).hex()


def text_key(text: str, target: Target, optimization: str) -> str:
    """The key of what LLVM makes of a text."""
    return _digest([b"text", _environment(), *_machine(target), optimization.encode(), text.encode()]).hex()


def _machine(target: Target) -> tuple[bytes, bytes, bytes]:
    return target.triple.encode(), target.cpu.encode(), target.features.encode()
