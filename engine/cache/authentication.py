"""The key that entries are authenticated with: whoever has it may put code into the servers that use it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from farcall.engine.errors import FarcallError
from farcall.engine.parallel import run_parts, thread_count

KEY_BYTES = 32
"""Length of the keys that are made, and the least length of those that are configured."""
_LONGEST_KEY = 4096

MAC_BYTES = 32


class UnsafeCacheKeyError(FarcallError, OSError):
    """The file of the cache's key is not for its owner alone, or has no key in it."""


_LEAF = 1 << 20
_BYTES_PER_THREAD = 4 << 20
_MOST_THREADS = 8


class Authenticator:
    """Makes and checks the authentication codes of entries.

    A code is HMAC with SHA-256, for which there are instructions, over the SHA-256 digests of the content's leaves: a
    mebibyte each, so that several threads can compute those of a large entry.
    """

    def __init__(self, key: bytes) -> None:
        """Use a key of at least 32 bytes. Raises ValueError."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"the cache's key must have at least {KEY_BYTES} bytes, not {len(key)}")
        self._key = key

    def code(self, *parts: bytes | memoryview) -> bytes:
        """The code of some bytes, given in parts; where one ends and the next begins does not matter."""
        return hmac.digest(self._key, b"".join(_digests(list(_leaves(parts)))), "sha256")

    def is_right(self, code: bytes | memoryview, *parts: bytes | memoryview) -> bool:
        """Whether a code is that of the bytes. It takes as long for a wrong one."""
        return hmac.compare_digest(self.code(*parts), bytes(code))


def _leaves(parts: Iterable[bytes | memoryview]) -> Iterator[list[memoryview]]:
    """The pieces of which each leaf consists."""
    leaf: list[memoryview] = []
    room = _LEAF
    for part in parts:
        rest = memoryview(part)
        while rest:
            leaf.append(rest[:room])
            rest = rest[room:]
            room -= len(leaf[-1])
            if not room:
                yield leaf
                leaf, room = [], _LEAF
    if leaf:
        yield leaf


def _digests(leaves: list[list[memoryview]]) -> list[bytes]:
    digests = [b""] * len(leaves)
    threads = thread_count(min(len(leaves) * _LEAF // _BYTES_PER_THREAD, _MOST_THREADS))

    def digest_each(first: int) -> None:
        for number in range(first, len(leaves), threads):
            digests[number] = _digest(leaves[number])

    run_parts(threads, digest_each)
    # Those are missing whose thread had not the memory that it needed.
    return [digest or _digest(leaf) for digest, leaf in zip(digests, leaves, strict=True)]


def _digest(pieces: list[memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def read_or_make_key(path: Path) -> bytes:
    """The key in a file; made, for its owner alone, if there is none. Of several who make it at once, one wins.

    A symbolic link is not followed: who can write to the directory could have it name a file whose content he knows.

    Raises:
        UnsafeCacheKeyError: others can read the file, it is another user's or a link, or has no key in it.
        OSError: the file can neither be read nor made.
    """
    with contextlib.suppress(FileNotFoundError):
        return read_key(path, follow=False)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())  # an empty key after a loss of power would keep the server from starting
        with contextlib.suppress(FileExistsError):  # unlike a renaming, a link takes no other's place
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
    return read_key(path, follow=False)


def read_key(path: Path, *, follow: bool = True) -> bytes:
    """The key in a file.

    The file must belong to this process's user or root, and only its owner may have access; where root owns it, its
    group may read it too (so are secrets mounted into containers).

    Parameters:
        follow: whether it may be a symbolic link.

    Raises:
        UnsafeCacheKeyError: others can read the file, it is another user's, or has no key in it.
        OSError: the file cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ELOOP or follow:
            raise
        raise UnsafeCacheKeyError(
            f"the cache's key {path} is a symbolic link, which is not followed; say where the key is (key_file, "
            f"--cache-key-file)"
        ) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnsafeCacheKeyError(f"{path}, which is to have the cache's key, is no file")
    with open(descriptor, "rb") as file:
        if status.st_uid not in (os.geteuid(), 0):
            raise UnsafeCacheKeyError(
                f"the cache's key {path} belongs to user {status.st_uid}, who could put code into this process; "
                f"it must belong to user {os.geteuid()} or root"
            )
        forbidden = 0o037 if status.st_uid == 0 and os.geteuid() != 0 else 0o077
        if status.st_mode & forbidden:
            raise UnsafeCacheKeyError(
                f"the cache's key {path} is accessible to others (mode {stat.S_IMODE(status.st_mode):04o}); "
                f"make a new one, or say: chmod 600 {path}"
            )
        key = file.read(_LONGEST_KEY + 1)
    if not KEY_BYTES <= len(key) <= _LONGEST_KEY:
        raise UnsafeCacheKeyError(
            f"the cache's key {path} must have {KEY_BYTES} to {_LONGEST_KEY} bytes, not {len(key)}"
        )
    return key
