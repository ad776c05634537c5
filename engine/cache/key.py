"""The keys of entries: all that what is in them depends on."""

from __future__ import annotations

import functools
import hashlib
import marshal
import sys
from collections.abc import Iterable

import llvmlite

from farcall.engine.cache.fingerprint import compiler_fingerprint
from farcall.engine.codegen.target import Target


@functools.cache
def _environment() -> bytes:
    """The engine and the libraries it works with; the interpreter because of `marshal`."""
    versions = (
        compiler_fingerprint(),
        llvmlite.__version__,
        sys.implementation.cache_tag or "",
        f"marshal {marshal.version}",
        sys.byteorder,
    )
    return _digest([version.encode() for version in versions])


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


def _machine(target: Target) -> tuple[bytes, bytes, bytes]:
    return target.triple.encode(), target.cpu.encode(), target.features.encode()
