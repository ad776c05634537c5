"""Paths as guests give them: what they may be, and their components."""

from __future__ import annotations

from farcall.engine.host.wasi.errno import Errno, WasiError

PATH_LIMIT = 4095
"""Bytes that a path or a symbolic link's target may have, as on Linux."""

NAME_LIMIT = 255
"""Bytes that a component may have, as on Linux."""

LINK_LIMIT = 40
"""Symbolic links that are followed for one path, as on Linux."""

DEPTH_LIMIT = 256
"""How far below the directory that it is relative to a path may lead on its way, where it is walked."""

THIS, PARENT = b".", b".."


def check_path(path: bytes) -> None:
    """See whether a guest's path can be one.

    Raises:
        WasiError: `NOENT` for the empty one, `NAMETOOLONG`, `INVAL` for one with a NUL, `ILSEQ` for one that is not
            UTF-8, `PERM` for an absolute one.
    """
    check_target(path)
    if path.startswith(b"/"):
        raise WasiError(Errno.PERM, "an absolute path")


def check_target(target: bytes) -> None:
    """See whether text can be a symbolic link's target: what `check_path` says, except of absolute ones."""
    if not target:
        raise WasiError(Errno.NOENT, "an empty path")
    if len(target) > PATH_LIMIT:
        raise WasiError(Errno.NAMETOOLONG, f"a path of {len(target)} bytes")
    if b"\0" in target:
        raise WasiError(Errno.INVAL, "a NUL in a path")
    if not target.isascii():
        try:
            target.decode()
        except UnicodeDecodeError as error:
            raise WasiError(Errno.ILSEQ, "a path that is not UTF-8") from error


def components(path: bytes) -> list[bytes]:
    """The components of a path, the last one first; slashes separate and are no part of any."""
    return [component for component in reversed(path.split(b"/")) if component]
