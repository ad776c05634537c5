"""A system for one program: what it is given, and WASI's functions as imports of its instance."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence

from farcall.engine.host.filesystem.interface import FileType, Handle
from farcall.engine.host.filesystem.open_handles import DEFAULT_LIMIT
from farcall.engine.host.wasi import families, rights
from farcall.engine.host.wasi.calls import WasiCall
from farcall.engine.host.wasi.descriptors import Descriptor
from farcall.engine.host.wasi.errno import WasiError
from farcall.engine.host.wasi.guest import Guest, Program
from farcall.engine.host.wasi.layouts import PREVIEW_1, UNSTABLE, Snapshot
from farcall.engine.host.wasi.sockets import SocketHandle
from farcall.engine.host.wasi.streams import (
    DiscardedOutput,
    EmptyInput,
    InputStream,
    OutputStream,
)
from farcall.engine.host.wasi.waitable import InputHandle, OutputHandle
from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.linking import Extern
from farcall.engine.structure.module import Import
from farcall.engine.structure.types import ExternKind

_UNSTABLE_CALLS = {name: call for name, call in families.CALLS.items() if name != "sock_accept"}
"""Connections are accepted since preview 1 only."""


class _SnapshotProvider(ImportProvider):
    """One snapshot's functions, for the instances of one program."""

    def __init__(self, system: WasiSystem, snapshot: Snapshot, calls: Mapping[str, WasiCall]) -> None:
        self._system = system
        self._snapshot = snapshot
        self._calls = calls

    def provide(self, entry: Import, caller: Caller) -> Extern | None:
        """The function for an import; None where WASI has none of that name."""
        call = self._calls.get(entry.name)
        if call is None or entry.kind is not ExternKind.FUNCTION:
            return None
        guest = self._system.guest(self._snapshot, caller)
        return caller.store.direct_host_function(call.type, call.bind(guest), entry.name)


class WasiSystem:
    """What one program has of the world: arguments, environment, standard streams, directories, sockets.

    >>> system = WasiSystem(["greet", "world"], {"LANG": "C"}, output=BytesOutput())
    >>> instance = store.instantiate(module, system.imports)
    >>> instance.exports._start()  # returns, or raises ProgramExit

    It is closed with the instance, or by `close`.

    Attributes:
        program: the state.
    """

    def __init__(
        self,
        arguments: Sequence[str | bytes] = (),
        environment: Mapping[str, str] | Sequence[tuple[str | bytes, str | bytes]] = (),
        *,
        input: InputStream | None = None,
        output: OutputStream | None = None,
        error: OutputStream | None = None,
        listeners: Iterable[socket.socket] = (),
        most_handles: int = DEFAULT_LIMIT,
    ) -> None:
        """Make one.

        Parameters:
            arguments: the program's name first.
            environment: its variables.
            input: standard input; empty where none is given.
            output: standard output, and `error`; nobody sees it where none is given.
            listeners: sockets that listen, taken over; they have the numbers after those of the directories.
            most_handles: files, directories and sockets that it may have open at a time.

        Raises:
            ValueError: an argument or variable has a NUL in it, or a variable's name a `=`.
        """
        pairs = environment.items() if isinstance(environment, Mapping) else environment
        self.program = program = Program(
            tuple(_text(argument, "an argument") for argument in arguments),
            tuple(_variable(name, value) for name, value in pairs),
        )
        program.handles.limit = most_handles
        self._listeners = list(listeners)
        self._guests: dict[tuple[Snapshot, int], Guest] = {}
        input_handle = InputHandle(EmptyInput() if input is None else input)
        program.descriptors.add(Descriptor(input_handle, rights.INPUT, 0))
        self._error = DiscardedOutput() if error is None else error
        for stream in (output or DiscardedOutput(), self._error):
            program.descriptors.add(Descriptor(OutputHandle(stream), rights.OUTPUT, 0))

    def add_directory(self, name: str | bytes, handle: Handle) -> None:
        """Give the program a directory.

        Parameters:
            name: its path to the program.
            handle: from `FileSystem.open_root`, counted in `program.handles`.

        Raises:
            ValueError: the name has a NUL in it, or the handle is no directory's.
        """
        if handle.type is not FileType.DIRECTORY:
            raise ValueError(f"{name!r} should be a directory, and is a {handle.type.name}")
        descriptor = Descriptor(
            handle, rights.DIRECTORY, rights.INHERITABLE, preopened=_text(name, "a directory's name")
        )
        self.program.descriptors.add(descriptor)

    @property
    def imports(self) -> dict[str, ImportProvider]:
        """What `Store.instantiate` takes: all snapshots of WASI, for this program."""
        self._add_listeners()
        return {
            PREVIEW_1.module: _SnapshotProvider(self, PREVIEW_1, families.CALLS),
            UNSTABLE.module: _SnapshotProvider(self, UNSTABLE, _UNSTABLE_CALLS),
        }

    def print_error(self, line: str) -> None:
        """Write a line to standard error on the program's behalf, as much of it as there is room for."""
        try:
            self._error.write([memoryview(line.encode("utf-8", "replace") + b"\n")])
        except WasiError:
            return  # nobody reads it

    def _add_listeners(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            handle = SocketHandle(listener, self.program.handles, listening=True)
            self.program.descriptors.add(Descriptor(handle, rights.LISTENER, 0))

    def guest(self, snapshot: Snapshot, caller: Caller) -> Guest:
        """What the functions of an instance work on; the first one has the program closed with it."""
        key = snapshot, id(caller)
        found = self._guests.get(key)
        if found is None:
            if not self._guests:
                caller.at_close(self.close)
            found = self._guests[key] = Guest(self.program, snapshot, caller)
        return found

    def close(self) -> None:
        """Close all that the program has open. A second time does nothing."""
        self._guests.clear()
        self.program.close()
        for listener in self._listeners:
            listener.close()


def _text(value: str | bytes, what: str) -> bytes:
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    if b"\0" in content:
        raise ValueError(f"{what} has a NUL in it: {value!r}")
    return content


def _variable(name: str | bytes, value: str | bytes) -> bytes:
    content = _text(name, "a variable's name")
    if b"=" in content:
        raise ValueError(f"a variable's name has a '=' in it: {name!r}")
    return content + b"=" + _text(value, "a variable's value")
