"""Runs a program on the server, with this process's standard input, output and error."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farcall.client import Client, DeadlineExceededError, NotFoundError
from farcall.client.calls.programs import ArchiveMount, MountSource, OutputStream
from farcall.client.command_line.settings import Settings

if TYPE_CHECKING:
    from farcall.client.command_line.run import SharedDirectory

_NOT_SHARED = (
    "the server cannot share the directory '{path}' of this machine. What can be had: "
    "`--dir {path}::{guest}:ro` uploads a copy that can be read; `--tmp GUEST[=SIZE]` is an empty directory in the "
    "server's memory; `--mount NAME::GUEST` is a directory of the server's machine that its operator has listed"
)
_INPUT_BYTES = 1 << 16
_DESCRIPTORS = {OutputStream.STDOUT: 1, OutputStream.STDERR: 2}


def run_on_server(
    settings: Settings,
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directories: Sequence[SharedDirectory],
    mounts: Mapping[str, MountSource],
) -> int:
    """Runs a program; its exit code.

    Args:
        settings: where the server is.
        program: path of a file, or the start of a module's digest.
        arguments: of the program, without its name.
        environment: of the program.
        directories: of this machine, of which the server gets a copy.
        mounts: what else the program finds.

    Raises:
        click.UsageError: a directory would have to be shared with the server, or an argument is not Unicode.
        FarcallError: the program trapped, or something cannot be had.
        OSError: a file cannot be read.
    """
    for directory in directories:
        if not directory.read_only:
            raise click.UsageError(_NOT_SHARED.format(path=directory.path, guest=directory.guest_path))
    with settings.client() as client:
        module = _module(client, program)
        all_mounts = dict(mounts)
        if directories:
            limit = client.server_info().limits.max_mounted_bytes
            for directory in directories:
                packed = packed_directory(directory.path, limit)
                limit -= len(packed)
                all_mounts[directory.guest_path] = ArchiveMount(packed)
        name = Path(program).name if os.path.sep in program or Path(program).is_file() else program
        began = time.monotonic()
        try:
            running = client.run(
                module,
                arguments=[name, *arguments],
                environment=environment,
                stdin=_standard_input(),
                mounts=all_mounts,
                timeout=settings.timeout,
            )
        except ValueError as error:
            raise click.UsageError(f"{error}; with --local it can be passed") from None
        try:
            with running:
                for output in running.output():
                    _write(_DESCRIPTORS[output.stream], output.data)
                return running.wait()
        except DeadlineExceededError as error:
            if settings.timeout is None or time.monotonic() - began < settings.timeout:
                raise  # it is the server's limit
            message = f"stopped after {settings.timeout:g} seconds"
            raise DeadlineExceededError(message, backtrace=error.backtrace) from None


def _module(client: Client, program: str) -> str:
    """The digest of a program that the server has from now on."""
    path = Path(program)
    if not path.is_file():
        try:
            return client.module(program).digest
        except NotFoundError as error:
            message = f"{program!r} is neither a file nor a module of the server's: {error.message}"
            raise NotFoundError(message, resource=error.resource) from None
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    try:
        return client.module(digest).digest
    except NotFoundError:
        return client.upload(source).digest


def _standard_input() -> Iterator[bytes]:
    """This process's standard input, as it comes. Asked for more only when what came before has been sent."""
    try:
        while data := os.read(0, _INPUT_BYTES):
            yield data
    except OSError:  # it was closed before this process began
        return


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def packed_directory(directory: Path, limit: int) -> bytes:
    """A directory as a tar archive: its files, directories and symbolic links.

    Raises:
        click.UsageError: it would have more than `limit` bytes.
        OSError: something in it cannot be read.
    """
    buffer = io.BytesIO()

    def checked(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (entry.isfile() or entry.isdir() or entry.issym()):
            return None
        if buffer.tell() + entry.size > limit:
            raise click.UsageError(
                f"{str(directory)!r} is too large to be uploaded: the server accepts {limit} bytes for this directory, "
                f"and {entry.name!r} goes beyond"
            )
        return entry

    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for child in sorted(directory.iterdir()):
            archive.add(child, arcname=child.name, filter=checked)
    return buffer.getvalue()
