"""ModuleService: upload, compile, get, list, delete, inspect."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from farcall.engine import CompileProgress
from farcall.proto.farcall.v1 import module_pb2, module_service_pb2_grpc
from farcall.proto.farcall.v1 import module_service_pb2 as messages
from farcall.server.errors import bad_request, limit_reached, upload_stalled
from farcall.server.messages.compilation import progress_message
from farcall.server.messages.inspection import TIERS
from farcall.server.messages.modules import basic_module_message
from farcall.server.module_library import Announcement, ModuleLibrary, ModuleRecord
from farcall.server.pagination import page
from farcall.server.resource_names import parse_module_name

_SHA256 = re.compile(r"[0-9a-f]{64}")

_Context = grpc.aio.ServicerContext[Any, Any]


class ModuleService(module_service_pb2_grpc.ModuleServiceServicer):
    """See module_service.proto."""

    def __init__(self, library: ModuleLibrary, max_concurrent_uploads: int, idle_timeout: float) -> None:
        """Make the service.

        Parameters:
            idle_timeout: seconds that an upload may wait for its next message.
        """
        self._library = library
        self._idle_timeout = idle_timeout
        self._max_concurrent_uploads = max_concurrent_uploads
        self.uploads = 0

    async def UploadModule(  # noqa: N802 - the name of the method in the API
        self, requests: AsyncIterator[messages.UploadModuleRequest], context: _Context
    ) -> messages.UploadModuleResponse:
        """Keep a module. Nothing of it is kept until all of it is there and right."""
        with self._upload():
            announced, defer = Announcement(), False
            chunks: list[bytes] = []
            size = 0
            first = True
            async for request in self._arriving(requests):
                if first:
                    announced, defer = self._announcement(request), request.defer_compilation
                    first = False
                size += len(request.data)
                self._library.check_size(size)
                chunks.append(request.data)
            if first:
                raise bad_request("data", "is missing: the stream ended without a message")
            upload = await self._library.add(chunks, announced, defer_compilation=defer)
        return messages.UploadModuleResponse(
            module=upload.description,
            created=upload.created,
            compiled=upload.compiled,
            compile_duration=Duration(nanos=int(upload.seconds % 1 * 1e9), seconds=int(upload.seconds)),
        )

    async def _arriving(
        self, requests: AsyncIterator[messages.UploadModuleRequest]
    ) -> AsyncIterator[messages.UploadModuleRequest]:
        """The requests, each of which may be waited for only so long: an upload that stalls would keep its place."""
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout):
                    request = await anext(requests, None)
            except TimeoutError:
                raise upload_stalled(self._idle_timeout) from None
            if request is None:
                return
            yield request

    @contextmanager
    def _upload(self) -> Iterator[None]:
        if self.uploads >= self._max_concurrent_uploads:
            raise limit_reached(
                "server", f"{self.uploads} uploads are in progress, which is the limit; try again later"
            )
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1

    def _announcement(self, request: messages.UploadModuleRequest) -> Announcement:
        sha256 = request.sha256 if request.HasField("sha256") else None
        size = request.size_bytes if request.HasField("size_bytes") else None
        if sha256 is not None and _SHA256.fullmatch(sha256) is None:
            raise bad_request("sha256", "must be 64 lower-case hexadecimal digits")
        if size is not None:
            if size < 0:
                raise bad_request("size_bytes", f"must not be negative, but is {size}")
            self._library.check_size(size)
        return Announcement(sha256, size)

    async def CompileModule(  # type: ignore[override]  # noqa: N802 - writes by itself instead of yielding
        self, request: messages.CompileModuleRequest, context: _Context
    ) -> None:
        """Compile a module, and tell how far that is."""
        record = self._library.record(parse_module_name(request.name, "name"))
        told: asyncio.Queue[CompileProgress | None] = asyncio.Queue()
        compiling = asyncio.create_task(self._library.complete(record, told.put_nowait))
        compiling.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (progress := await told.get()) is not None:
                await context.write(progress_message(progress))
            last = await compiling
        finally:
            compiling.cancel()
        await context.write(progress_message(last, done=True))

    async def GetModule(  # noqa: N802 - the name of the method in the API
        self, request: messages.GetModuleRequest, context: _Context
    ) -> messages.GetModuleResponse:
        """Get one module."""
        record = self._library.record(parse_module_name(request.name, "name"))
        view = request.view or module_pb2.MODULE_VIEW_INTERFACE
        return messages.GetModuleResponse(module=await self._message(record, view))

    async def ListModules(  # noqa: N802 - the name of the method in the API
        self, request: messages.ListModulesRequest, context: _Context
    ) -> messages.ListModulesResponse:
        """List modules."""
        records, token = page(
            self._library.records, lambda record: record.name, request.page_size, request.page_token
        )
        view = request.view or module_pb2.MODULE_VIEW_BASIC
        modules = [await self._message(record, view) for record in records]
        return messages.ListModulesResponse(modules=modules, next_page_token=token)

    async def _message(
        self, record: ModuleRecord, view: module_pb2.ModuleView.ValueType
    ) -> module_pb2.Module:
        match view:
            case module_pb2.MODULE_VIEW_BASIC:
                return basic_module_message(record.sha256, record.size, record.create_time)
            case module_pb2.MODULE_VIEW_INTERFACE | module_pb2.MODULE_VIEW_FULL:
                return await self._library.description(record, content=view == module_pb2.MODULE_VIEW_FULL)
            case _:
                raise bad_request("view", f"there is no view {view}")

    async def DeleteModule(  # noqa: N802 - the name of the method in the API
        self, request: messages.DeleteModuleRequest, context: _Context
    ) -> messages.DeleteModuleResponse:
        """Delete a module."""
        await self._library.delete(parse_module_name(request.name, "name"))
        return messages.DeleteModuleResponse()

    async def InspectFunction(  # noqa: N802 - the name of the method in the API
        self, request: messages.InspectFunctionRequest, context: _Context
    ) -> messages.InspectFunctionResponse:
        """Compile one function for people to look at."""
        record = self._library.record(parse_module_name(request.name, "name"))
        if not request.function:
            raise bad_request("function", "is missing: an index or a name is wanted")
        tier = TIERS.get(request.tier)
        if tier is None:
            raise bad_request("tier", f"there is no tier {request.tier}")
        return await self._library.inspect(record, request.function, tier)
