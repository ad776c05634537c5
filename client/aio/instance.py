"""Instances of the asyncio client, and what they export."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from types import TracebackType
from typing import Self, cast, overload

from farcall.client.aio.connection import Connection
from farcall.client.aio.import_session import ImportSession
from farcall.client.aio.stream import Stream
from farcall.client.calls import externs, instances
from farcall.client.calls.call import Deadline
from farcall.client.calls.invocations import DEFAULT_WINDOW, Outcome, results_or_first_error
from farcall.client.handles import Exports, ExternHandle, FunctionHandle, InstanceHandle
from farcall.client.types import (
    Argument,
    ExternType,
    FunctionType,
    GlobalType,
    InstanceInfo,
    InstanceOutput,
    MemoryType,
    Results,
    TableType,
    Tag,
    TagType,
    Value,
)


class Instance(InstanceHandle):
    """An instance of a module on the server; as an asynchronous context manager it is closed at the end.

    Attributes:
        exports: what it exports: `await instance.exports.add(1, 2)`.
    """

    def __init__(
        self, connection: Connection, information: InstanceInfo, session: ImportSession | None = None
    ) -> None:
        super().__init__(information)
        self._connection = connection
        self._session = session
        types = {export.name: export.type for export in information.exports}
        self.exports: Exports[Extern] = Exports(information.name, types, self._extern)

    def _extern(self, name: str, type_: ExternType) -> Extern:
        match type_:
            case FunctionType():
                return Function(self._connection, self.resource, name, type_)
            case MemoryType():
                return Memory(self._connection, self.resource, name, type_)
            case TableType():
                return Table(self._connection, self.resource, name, type_)
            case GlobalType():
                return Global(self._connection, self.resource, name, type_)
            case TagType():
                return Tag(name, type_)

    def function(self, name: str) -> Function:
        """The exported function of that name; ExportNotFoundError where there is none."""
        return cast(Function, self.exports.of_kind(name, FunctionType))

    def memory(self, name: str = "memory") -> Memory:
        """The exported memory of that name; ExportNotFoundError where there is none."""
        return cast(Memory, self.exports.of_kind(name, MemoryType))

    def table(self, name: str) -> Table:
        """The exported table of that name; ExportNotFoundError where there is none."""
        return cast(Table, self.exports.of_kind(name, TableType))

    def global_(self, name: str) -> Global:
        """The exported global of that name; ExportNotFoundError where there is none."""
        return cast(Global, self.exports.of_kind(name, GlobalType))

    def stream(self, *, window: int = DEFAULT_WINDOW, timeout: float | None = None) -> Stream:
        """A stream of calls, whose functions may be given as names of this instance's exports.

        Args:
            window: how many calls may be under way; `send` waits where there are as many.
            timeout: of the whole stream, in seconds.
        """
        return Stream(self._connection, self.exports, window, timeout)

    async def take_output(self, *, timeout: float | None = None) -> InstanceOutput:
        """What it has written to standard output and standard error since the last time.

        Raises:
            FailedPreconditionError: it was instantiated without `wasi`.
        """
        return await self._connection.run(instances.take_output(self.resource), timeout)

    async def close(self, *, timeout: float | None = None) -> None:
        """Closes it; what other instances import from it stays alive for them."""
        try:
            await self._connection.run(instances.close_instance(self.resource), timeout)
        finally:
            if self._session is not None:
                await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class Function(FunctionHandle):
    """A function that an instance exports."""

    def __init__(
        self, connection: Connection, instance_resource: str, name: str, type_: FunctionType
    ) -> None:
        super().__init__(instance_resource, name, type_)
        self._connection = connection

    async def __call__(self, *arguments: Argument, timeout: float | None = None) -> Results:
        """Calls it; gives None for no result, the value for one, a tuple for several.

        Args:
            arguments: one a parameter.
            timeout: seconds after which the guest is stopped.

        Raises:
            Trap: the guest trapped.
            ArgumentError: wrong number, type or range of arguments.
            DeadlineExceededError: the time ran out.
            NotFoundError: the instance has been closed.
            ResourceExhaustedError: too many calls wait for the instance.
            UnavailableError: no answer; the call may have been made, so it is not repeated.
        """
        return await self._connection.run(self.calls.invoke(arguments), timeout)

    async def call_many(
        self,
        calls: Iterable[Sequence[Argument]],
        *,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> list[Outcome]:
        """Makes many calls, in order, in few messages: by far the fastest way to make many calls.

        A call that fails does not keep the next ones from running.

        Args:
            calls: the arguments of each.
            timeout: of all of them together, in seconds.
            return_exceptions: whether a failed call's error stands at its place among the results; else the
                first one is raised when all calls have been made.

        Raises:
            ArgumentError: the arguments of a call do not fit; then none has been made.
        """
        deadline = Deadline(timeout)
        outcomes: list[Outcome] = []
        for batch in self.calls.batches(calls):
            outcomes += await self._connection.run(batch, deadline.remaining())
        return outcomes if return_exceptions else results_or_first_error(outcomes)


class Memory(ExternHandle):
    """A memory that an instance exports: `await memory[16:32]`, `await memory.write(16, b"abcd")`.

    Unlike `bytes`, a memory clamps nothing: what lies past its end is a RangeError. A read or write of up to
    a megabyte is one step for the guest; longer ones are made of such steps.
    """

    def __init__(self, connection: Connection, instance_resource: str, name: str, type_: MemoryType) -> None:
        super().__init__(instance_resource, name)
        self.type: MemoryType = type_
        self._connection = connection

    async def read(self, offset: int, length: int, *, timeout: float | None = None) -> bytes:
        """The `length` bytes from address `offset`; RangeError past the memory's end."""
        deadline = Deadline(timeout)
        return b"".join(
            [
                await self._connection.run(call, deadline.remaining())
                for call in externs.read_memory(self.instance_resource, self.name, offset, length)
            ]
        )

    async def write(
        self, offset: int, data: bytes | bytearray | memoryview, *, timeout: float | None = None
    ) -> None:
        """Writes bytes at address `offset`; RangeError past the memory's end, and nothing is written."""
        deadline = Deadline(timeout)
        for call in externs.write_memory(self.instance_resource, self.name, offset, data):
            await self._connection.run(call, deadline.remaining())

    async def size(self, *, timeout: float | None = None) -> int:
        """Its size now, in bytes."""
        return await self._connection.run(externs.get_memory_size(self.instance_resource, self.name), timeout)

    async def grow(self, pages: int, *, timeout: float | None = None) -> int:
        """Makes it larger; gives the size before, in pages. ResourceExhaustedError beyond its maximum."""
        call = externs.grow_memory(self.instance_resource, self.name, pages)
        return await self._connection.run(call, timeout)

    @overload
    async def __getitem__(self, key: int) -> int: ...

    @overload
    async def __getitem__(self, key: slice) -> bytes: ...

    async def __getitem__(self, key: int | slice) -> int | bytes:
        size = await self.size() if externs.needs_size(key) else None
        data = await self.read(*externs.span(key, size))
        return data if isinstance(key, slice) else data[0]


class Global(ExternHandle):
    """A global that an instance exports."""

    def __init__(self, connection: Connection, instance_resource: str, name: str, type_: GlobalType) -> None:
        super().__init__(instance_resource, name)
        self.type: GlobalType = type_
        self._connection = connection

    async def get(self, *, timeout: float | None = None) -> Value:
        """Its value."""
        return await self._connection.run(externs.get_global(self.instance_resource, self.name), timeout)

    async def set(self, value: Argument, *, timeout: float | None = None) -> None:
        """Sets it; ArgumentError for a value that does not fit, FailedPreconditionError if it is constant."""
        call = externs.set_global(self.instance_resource, self.name, self.type, value)
        await self._connection.run(call, timeout)

    @property
    def value(self) -> Awaitable[Value]:
        """Its value; `await counter.value` asks the server. It is set by `set`."""
        return self.get()


class Table(ExternHandle):
    """A table that an instance exports."""

    def __init__(self, connection: Connection, instance_resource: str, name: str, type_: TableType) -> None:
        super().__init__(instance_resource, name)
        self.type: TableType = type_
        self._connection = connection

    async def get(self, index: int, *, timeout: float | None = None) -> Value:
        """What an element refers to: a FunctionReference, an externref's number, or None for null.

        Raises:
            RangeError: past the table's end.
        """
        call = externs.look_up_element(self.instance_resource, self.name, index)
        return await self._connection.run(call, timeout)

    async def size(self, *, timeout: float | None = None) -> int:
        """Its size now, in elements."""
        return await self._connection.run(externs.get_table_size(self.instance_resource, self.name), timeout)

    async def __getitem__(self, index: int) -> Value:
        return await self.get(index)


Extern = Function | Memory | Table | Global | Tag
"""What an instance can export."""
