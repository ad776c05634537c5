"""Files of `farcall compile` that a server is given at its start."""

from __future__ import annotations

from pathlib import Path

from farcall.engine import Artifact, ArtifactError, check_trustworthy, decode_artifact


class ArtifactFileError(OSError):
    """A file that a server is to load is no artifact, or a damaged one, or could have been written by others."""


def read_artifact(path: Path) -> Artifact:
    """The artifact in a file.

    Raises:
        ArtifactFileError: it is none, it is damaged, or others could have written it.
        OSError: it cannot be read.
    """
    try:
        check_trustworthy(path)
        return decode_artifact(path.read_bytes())
    except ArtifactError as error:
        raise ArtifactFileError(f"the artifact {path} {error}") from error
