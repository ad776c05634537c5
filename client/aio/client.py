"""The asyncio client: modules, stores, and the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from farcall.client.address import DEFAULT_ADDRESS
from farcall.client.aio.connection import Connection
from farcall.client.aio.program import Program, StandardInput
from farcall.client.aio.store import Store
from farcall.client.aio.stream import Stream
from farcall.client.calls import modules, server, stores
from farcall.client.calls.invocations import DEFAULT_WINDOW
from farcall.client.calls.programs import Mounts, ProgramResult, program_request
from farcall.client.channel import Retries, Tls
from farcall.client.errors import ServerError
from farcall.client.types import (
    CodeTier,
    CompileProgress,
    FunctionCode,
    Module,
    ServerInfo,
    StoreInfo,
    UploadedModule,
)


class Client:
    """A client of a farcall server, for the event loop in which it is first used.

    Every method with a `timeout` (in seconds) raises DeadlineExceededError when it has passed. Without one,
    the client's own `timeout` holds; where that is None, requests that run no guest code wait 30 seconds,
    and those that do as long as the server lets them run.

    Args:
        address: of the server, `host:port`, or what gRPC understands (`unix:/path`, `dns:///host:port`).
        timeout: for every request that does not bring its own, in seconds.
        tls: encrypts the connection; None for plain text.
        retries: how requests that are safe to repeat are repeated while the server is unavailable.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float | None = None,
        tls: Tls | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._connection = Connection(address, timeout, tls, retries if retries is not None else Retries())

    @property
    def address(self) -> str:
        """The server's address."""
        return self._connection.address

    async def upload(
        self,
        source: modules.ModuleSource,
        *,
        compile: bool = True,
        progress: modules.Progress | None = None,
        timeout: float | None = None,
    ) -> UploadedModule:
        """Uploads a module and has it compiled; a module that the server has already costs it nothing.

        Args:
            source: the module's bytes, or the path of its file.
            compile: whether to wait for that; else it is compiled when it is needed, or by `compile_module`.
            progress: called with (bytes sent, bytes in all) after each piece, in a thread of gRPC's.
            timeout: in seconds.

        Raises:
            InvalidModuleError: the bytes are no valid module.
            ResourceExhaustedError: the module is too large, or there are too many.
            OSError: the file cannot be read.
        """
        call = await asyncio.to_thread(modules.upload, source, progress, compile)
        return await self._connection.run(call, timeout)

    async def compile_module(
        self,
        module: Module | str,
        *,
        progress: modules.CompileListener | None = None,
        timeout: float | None = None,
    ) -> CompileProgress:
        """Compiles all functions of a module, unless that is done; when it is not waited for any more, that ends.

        Args:
            module: the module, or its digest.
            progress: told of each step.
            timeout: in seconds; None is as long as it takes.

        Raises:
            NotFoundError: the server has no such module.
            ResourceExhaustedError: it would take too much time or memory, or too much waits to be compiled.
            ServerError: the compiler crashed.
        """
        told = None
        async with aclosing(self._connection.watch(modules.compile_module(module), timeout)) as answers:
            async for told in answers:
                if progress is not None:
                    progress(told)
        if told is None:
            raise ServerError("the server told nothing of the compilation")
        return told

    def modules(self, *, timeout: float | None = None) -> AsyncIterator[Module]:
        """The modules that the server keeps, without what is in them; `timeout` is for each page."""
        return self._connection.items(modules.list_modules, timeout)

    async def module(self, digest: str, *, content: bool = False, timeout: float | None = None) -> Module:
        """What the server tells about a module.

        Args:
            digest: its SHA-256 in hexadecimal, or as much of its start as no other module has.
            content: whether to fetch the contents of custom sections, too.
            timeout: in seconds, of each request.

        Raises:
            NotFoundError: no module has that digest, or several have one that starts so.
        """
        if not modules.is_whole_digest(digest):
            known = [module.digest async for module in self.modules(timeout=timeout)]
            digest = modules.digest_with_prefix(digest, known)
        return await self._connection.run(modules.get_module(digest, content), timeout)

    async def delete_module(self, module: Module | str, *, timeout: float | None = None) -> None:
        """Deletes a module, given itself or its digest; instances of it go on."""
        await self._connection.run(modules.delete_module(module), timeout)

    async def inspect_function(
        self,
        module: Module | str,
        function: str | int,
        *,
        tier: CodeTier = CodeTier.OPTIMIZED,
        timeout: float | None = None,
    ) -> FunctionCode:
        """Compiles one function of a module on the server, and shows it: instructions, LLVM IR and machine code.

        Args:
            module: itself or its digest.
            function: its index, an export's name, or a name of the name section.
            tier: whose code.
            timeout: in seconds.

        Raises:
            NotFoundError: there is no such module, or the module defines no such function, or several.
            ResourceExhaustedError: the function is too large or too complex.
        """
        return await self._connection.run(modules.inspect_function(module, function, tier), timeout)

    def store(self, name: str = "default") -> Store:
        """The store of that name, without asking the server whether there is one."""
        return Store(self._connection, name)

    async def create_store(
        self,
        name: str = "",
        *,
        max_instances: int | None = None,
        max_memory_pages: int | None = None,
        max_table_elements: int | None = None,
        timeout: float | None = None,
    ) -> Store:
        """Creates a store.

        Args:
            name: its name; the server makes one up for an empty one.
            max_instances: how many instances may be open in it; None for as many as the server allows.
            max_memory_pages: pages (of 64 KiB) of all its memories together; None likewise.
            max_table_elements: elements of each of its tables; None likewise.
            timeout: in seconds.

        Raises:
            AlreadyExistsError: an open store has that name.
            ResourceExhaustedError: too many stores.
        """
        call = stores.create_store(name, max_instances, max_memory_pages, max_table_elements)
        return Store(self._connection, (await self._connection.run(call, timeout)).name)

    def stores(self, *, timeout: float | None = None) -> AsyncIterator[StoreInfo]:
        """The open stores; `timeout` is for each page."""
        return self._connection.items(stores.list_stores, timeout)

    def stream(self, *, window: int = DEFAULT_WINDOW, timeout: float | None = None) -> Stream:
        """A stream of calls into any instances.

        Args:
            window: how many calls may be under way; `send` waits where there are as many.
            timeout: of the whole stream, in seconds.
        """
        return Stream(self._connection, None, window, timeout)

    def run(
        self,
        module: Module | str,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stdin: StandardInput = b"",
        mounts: Mounts | None = None,
        max_memory_pages: int | None = None,
        max_table_elements: int | None = None,
        timeout: float | None = None,
    ) -> Program:
        """Runs a program: a command module, which is compiled for WASI and exports `_start`, in a store of its own.

        Args:
            module: the module, or its digest.
            arguments: the program's, by convention its own name first.
            environment: its environment variables.
            stdin: its standard input.
            mounts: the directories that it finds, by their paths: `{"/": TemporaryDirectory()}`.
            max_memory_pages: pages (of 64 KiB) of all its memories together; None for as many as the server allows.
            max_table_elements: elements of each of its tables; None likewise.
            timeout: seconds after which it is stopped.

        Raises:
            OSError: the file of an archive cannot be read.
        """
        quota = {"max_memory_pages": max_memory_pages, "max_table_elements": max_table_elements}
        request = program_request(module, arguments, environment or {}, mounts or {}, quota)
        return Program(self._connection, request, stdin, timeout)

    async def run_to_end(
        self,
        module: Module | str,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stdin: StandardInput = b"",
        mounts: Mounts | None = None,
        max_memory_pages: int | None = None,
        max_table_elements: int | None = None,
        timeout: float | None = None,
    ) -> ProgramResult:
        """Runs a program as `run` does, waits for its end, and gives its exit code and all that it wrote."""
        async with self.run(
            module,
            arguments=arguments,
            environment=environment,
            stdin=stdin,
            mounts=mounts,
            max_memory_pages=max_memory_pages,
            max_table_elements=max_table_elements,
            timeout=timeout,
        ) as program:
            return await program.result()

    async def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """The server's version, features, limits and counters."""
        return await self._connection.run(server.get_server_info(), timeout)

    async def health(self, service: str = "", *, timeout: float | None = None) -> str:
        """The serving status, `SERVING` where all is well; an empty `service` means the whole server."""
        return await self._connection.run(server.check_health(service), timeout)

    async def close(self) -> None:
        """Ends what is under way; later requests raise ClosedError. What is on the server stays."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
