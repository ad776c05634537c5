"""A module and its compiled code in one file, made ahead for servers that shall have it from their start.

::

    magic               15 bytes
    description size    8 bytes, little-endian
    description         JSON: what code and module are, and where they lie
    module              the bytes that were compiled
    code                at a multiple of the page size
    SHA-256             of all before

The digest finds damage. It does not say who made the file: whoever loads an artifact trusts it like a program, and
`check_trustworthy` looks whether others could have written it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farcall.engine.cache.fingerprint import compiler_fingerprint
from farcall.engine.codegen.linker import Image
from farcall.engine.codegen.target import Target
from farcall.engine.codegen.target_choice import why_not_here
from farcall.engine.errors import ArtifactError
from farcall.engine.lowering import LoweringOptions

_MAGIC = b"\0farcall code 1\n"
_SIZE = struct.Struct("<Q")
_PAGE = 1 << 12
_DIGEST_SIZE = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Artifact:
    """A module and its code.

    Attributes:
        source: the module's bytes.
        digest: their SHA-256, in hexadecimal.
        options: with which it was compiled.
        target: the machine that the code is for.
        compiler: which version of the compiler made it: `compiler_fingerprint`.
        image: the code.
    """

    source: bytes
    digest: str
    options: LoweringOptions
    target: Target
    compiler: str
    image: Image

    def why_not_usable(self) -> str | None:
        """Why the code cannot be used here and now; None if it can. The module can in any case."""
        if self.compiler != compiler_fingerprint():
            return f"it was compiled by {self.compiler}, and this is {compiler_fingerprint()}"
        return why_not_here(self.target)


def encode_artifact(artifact: Artifact) -> bytes:
    """The artifact as a file's content."""
    options = artifact.options
    description = json.dumps(
        {
            "digest": artifact.digest,
            "ensure_termination": options.ensure_termination,
            "listeners": options.listeners,
            "capabilities": sorted(options.capabilities),
            "target": [artifact.target.triple, artifact.target.cpu, artifact.target.features],
            "compiler": artifact.compiler,
            "functions": list(artifact.image.functions),
            "source_size": len(artifact.source),
            "code_size": len(artifact.image.content),
        }
    ).encode()
    head = b"".join((_MAGIC, _SIZE.pack(len(description)), description, artifact.source))
    content = head + bytes(-len(head) % _PAGE) + artifact.image.content
    return content + hashlib.sha256(content).digest()


def decode_artifact(content: bytes) -> Artifact:
    """The artifact in a file's content.

    Raises:
        ArtifactError: it is none, or it is damaged.
    """
    if not content.startswith(_MAGIC):
        raise ArtifactError("is no artifact of `farcall compile`")
    body = content[:-_DIGEST_SIZE]
    if hashlib.sha256(body).digest() != content[-_DIGEST_SIZE:]:
        raise ArtifactError("is damaged: its bytes do not have the digest that stands at its end")
    try:
        return _decode(body)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise ArtifactError(f"has a description that cannot be read ({error})") from error


def _decode(body: bytes) -> Artifact:
    start = len(_MAGIC) + _SIZE.size
    description_end = start + _SIZE.unpack_from(body, len(_MAGIC))[0]
    description: dict[str, Any] = json.loads(body[start:description_end])
    source_end = description_end + description["source_size"]
    code_start = source_end + -source_end % _PAGE
    source, code = body[description_end:source_end], body[code_start:]
    if len(code) != description["code_size"] or hashlib.sha256(source).hexdigest() != description["digest"]:
        raise ValueError("sizes or digests differ")
    options = LoweringOptions(
        ensure_termination=description["ensure_termination"],
        listeners=description["listeners"],
        capabilities=frozenset(description["capabilities"]),
    )
    functions = tuple([(offset, size, name) for offset, size, name in description["functions"]])
    return Artifact(
        source,
        description["digest"],
        options,
        Target(*description["target"]),
        description["compiler"],
        Image(code, functions),
    )


def check_trustworthy(path: Path) -> None:
    """See whether only this user or root can have written a file with code that is to be run.

    Raises:
        ArtifactError: others can.
        OSError: the file cannot be looked at.
    """
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise ArtifactError(
            f"belongs to user {status.st_uid}; code is run only from files of one's own, or root's"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ArtifactError(
            "can be written by others; code is run only from files that cannot (`chmod go-w`)"
        )
