"""Entries to keep in caches."""

from __future__ import annotations

import hashlib

from farcall.engine.cache.authentication import Authenticator
from farcall.engine.cache.container import ModuleEntry
from farcall.engine.codegen.linker import Image

AUTHENTICATOR = Authenticator(b"k" * 32)


def key_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def entry_of(size: int = 100, metadata: bytes | None = b"metadata") -> ModuleEntry:
    return ModuleEntry(
        metadata, (Image(bytes(range(256)) * (size // 256 + 1), ((0, 16, "f0"), (16, 8, "t0"))),)
    )


def same(left: ModuleEntry | None, right: ModuleEntry) -> bool:
    assert left is not None
    images = [(bytes(each.content), each.functions) for each in left.images]
    return (left.metadata, images) == (
        right.metadata,
        [(bytes(each.content), each.functions) for each in right.images],
    )
