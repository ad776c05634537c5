"""Programs: what is sent to run one, and how what it writes is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.empty_pb2 import Empty

from farcall.client.calls.resource_names import module_resource
from farcall.client.status import error_from_status
from farcall.client.types import Module
from farcall.proto.farcall.v1 import program_service_pb2 as messages
from farcall.proto.farcall.v1 import store_service_pb2, wasi_pb2

CHUNK_BYTES = 1 << 18
"""Bytes of standard input, or of an archive, in one message."""


class OutputStream(Enum):
    """Which of a program's two outputs."""

    STDOUT = "standard_output"
    STDERR = "standard_error"


class Output(NamedTuple):
    """A piece of what a program wrote."""

    stream: OutputStream
    data: bytes


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program that has ended left.

    Attributes:
        exit_code: 0 where it returned, else what it gave `proc_exit`.
        stdout: all that it wrote to standard output.
        stderr: all that it wrote to standard error.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class TemporaryDirectory:
    """An empty directory in the server's memory, which ends with the program.

    Attributes:
        max_bytes: what all in it may take; None for the server's limit.
    """

    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ArchiveMount:
    """The contents of a tar (compressed or not) or zip archive, read-only.

    Attributes:
        source: its bytes, or the path of its file.
    """

    source: bytes | str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class HostDirectory:
    """A directory of the server's machine that its operator has listed.

    Attributes:
        name: what the operator calls it.
        read_only: whether the program can change nothing in it.
    """

    name: str
    read_only: bool = False


MountSource = TemporaryDirectory | ArchiveMount | HostDirectory
Mounts = Mapping[str, MountSource]
"""By the path where the guest finds it: what is there."""


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    """What is to be run.

    Attributes:
        first: the first message.
        archives: the bytes of archives, by the position of their mount.
    """

    first: messages.RunProgramRequest
    archives: dict[int, bytes]

    def opening(self) -> Iterator[messages.RunProgramRequest]:
        """The messages before standard input."""
        yield self.first
        for index, data in self.archives.items():
            for start in range(0, len(data), CHUNK_BYTES):
                piece = messages.ArchiveData(mount_index=index, data=data[start : start + CHUNK_BYTES])
                yield messages.RunProgramRequest(archive_data=piece)


def program_request(
    module: Module | str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    mounts: Mounts,
    quota: Mapping[str, int | None],
) -> ProgramRequest:
    """Reads the files of archives.

    Raises:
        TypeError: a mount is none.
        ValueError: an argument, a variable or a path is not Unicode.
        OSError: an archive's file cannot be read.
    """
    wasi, archives = wasi_configuration(arguments, environment, mounts)
    for index, data in archives.items():
        wasi.mounts[index].archive.size_bytes = len(data)
    program = messages.Program(
        module=module_resource(module), wasi=wasi, quota=store_service_pb2.StoreQuota(**quota)
    )
    return ProgramRequest(messages.RunProgramRequest(program=program), archives)


def wasi_configuration(
    arguments: Sequence[str], environment: Mapping[str, str], mounts: Mounts
) -> tuple[wasi_pb2.WasiConfiguration, dict[int, bytes]]:
    """What a guest is given, and the archives' bytes by the position of their mount. Raises as `program_request`."""
    for what, texts in (
        ("argument", arguments),
        ("variable", [*environment, *environment.values()]),
        ("path", mounts),
    ):
        for text in texts:
            _check_unicode(what, text)
    archives: dict[int, bytes] = {}
    entries = []
    for index, (path, source) in enumerate(mounts.items()):
        entry = wasi_pb2.Mount(guest_path=path)
        match source:
            case TemporaryDirectory():
                entry.temporary_directory.SetInParent()
                if source.max_bytes is not None:
                    entry.temporary_directory.max_bytes = source.max_bytes
            case ArchiveMount():
                data = source.source
                archives[index] = data if isinstance(data, bytes) else Path(data).read_bytes()
                entry.archive.SetInParent()
                entry.read_only = True
            case HostDirectory():
                entry.host_directory.name = source.name
                entry.read_only = source.read_only
            case _:
                raise TypeError(f"what is mounted at {path!r} is none of {MountSource}: {source!r}")
        entries.append(entry)
    variables = [wasi_pb2.EnvironmentVariable(name=name, value=value) for name, value in environment.items()]
    return wasi_pb2.WasiConfiguration(arguments=arguments, environment=variables, mounts=entries), archives


def _check_unicode(what: str, text: str) -> None:
    """Raise ValueError for what the system has given as bytes that are no UTF-8: messages cannot carry that."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {what} {text!r} is not Unicode, and a server takes nothing else") from None


def input_pieces(data: bytes) -> Iterator[messages.RunProgramRequest]:
    """Standard input as messages."""
    if len(data) <= CHUNK_BYTES:
        yield messages.RunProgramRequest(standard_input=data)
        return
    for start in range(0, len(data), CHUNK_BYTES):
        yield messages.RunProgramRequest(standard_input=data[start : start + CHUNK_BYTES])


INPUT_END = messages.RunProgramRequest(standard_input_end=Empty())


def input_requests(stdin: bytes | Iterable[bytes]) -> Iterator[messages.RunProgramRequest]:
    """All of standard input, and its end, as messages; what gives the pieces is asked for each when it is needed."""
    for data in (stdin,) if isinstance(stdin, bytes | bytearray | memoryview) else stdin:
        yield from input_pieces(bytes(data))
    yield INPUT_END


def read_response(response: messages.RunProgramResponse) -> Output | int:
    """What the program wrote, or its exit code. Raises the error that ended it."""
    match response.WhichOneof("response"):
        case "standard_output":
            return Output(OutputStream.STDOUT, response.standard_output)
        case "standard_error":
            return Output(OutputStream.STDERR, response.standard_error)
        case "exit_code":
            return response.exit_code
        case _:
            raise error_from_status(response.error)


def collected(outputs: Iterable[Output], exit_code: Any) -> ProgramResult:
    """What a program left."""
    found: dict[OutputStream, list[bytes]] = {stream: [] for stream in OutputStream}
    for output in outputs:
        found[output.stream].append(output.data)
    return ProgramResult(
        exit_code, b"".join(found[OutputStream.STDOUT]), b"".join(found[OutputStream.STDERR])
    )
