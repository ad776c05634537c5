"""The modules that the server keeps, each once, decoded and compiled when first needed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from farcall.engine import (
    ArtifactError,
    Cancellation,
    CompiledModule,
    CompileProgress,
    Engine,
    Module,
    ModuleError,
    Tier,
    inspect_function,
)
from farcall.proto.farcall.v1 import error_details_pb2 as details
from farcall.proto.farcall.v1 import module_pb2, module_service_pb2
from farcall.server.artifacts import ArtifactFileError, read_artifact
from farcall.server.errors import RequestError, limit_reached, not_found
from farcall.server.messages.inspection import inspection_message
from farcall.server.messages.modules import module_message
from farcall.server.module_files import DamagedModuleError, ModuleFiles, StoredModule
from farcall.server.resource_names import module_name

T = TypeVar("T")

_READERS = 2
"""Threads that read, decode and validate."""

_WAITING = 64
"""Threads that wait for modules to be compiled, which other processes do."""

_SMALL_INTERFACE = 1000
"""Types, imports and exports that are told in about 10 ms."""

_ROOM_IN_MESSAGE = 4096
"""For what answers have beside a module's description: an instance's name, how long compilation took."""

_logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class ModuleRecord:
    """A module that the server keeps.

    Attributes:
        sha256: its digest.
        size: bytes.
        create_time: when its upload was completed (Unix time).
        module: decoded; None until it is needed after a restart.
        compiled: its code; None until it is needed.
        using: held while it is loaded or deleted.
    """

    sha256: str
    size: int
    create_time: float
    module: Module | None = None
    compiled: CompiledModule | None = None
    using: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """Its resource name."""
        return module_name(self.sha256)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What an upload said of its bytes beforehand."""

    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload did: see `UploadModuleResponse`."""

    record: ModuleRecord
    description: module_pb2.Module
    created: bool
    compiled: bool
    seconds: float


@dataclass(slots=True, eq=False)
class _Upload:
    """An upload that is being worked on, and how many callers wait for it."""

    task: asyncio.Task[Upload]
    cancellation: Cancellation
    waiting: int = 0


class ModuleLibrary:
    """All modules, on disk if `files` is given. Used by the event loop's thread only."""

    def __init__(
        self,
        engine: Engine,
        files: ModuleFiles | None,
        *,
        max_modules: int,
        max_module_bytes: int,
        max_message_bytes: int,
    ) -> None:
        self._engine = engine
        self._files = files
        self._max_modules = max_modules
        self._max_module_bytes = max_module_bytes
        self._max_message_bytes = max_message_bytes
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._waiting = ThreadPoolExecutor(_WAITING, thread_name_prefix="compile")
        stored = files.stored() if files is not None else []
        self._records = {
            entry.sha256: ModuleRecord(entry.sha256, entry.size, entry.create_time) for entry in stored
        }
        self._uploading: dict[tuple[str, bool], _Upload] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> Sequence[ModuleRecord]:
        """All modules, ordered by name."""
        return [self._records[sha256] for sha256 in sorted(self._records)]

    def record(self, sha256: str) -> ModuleRecord:
        """The module with that digest. Raises RequestError if there is none."""
        record = self._records.get(sha256)
        if record is None:
            raise not_found("module", module_name(sha256))
        return record

    def check_size(self, size: int) -> None:
        """Raise RequestError if a module of that size, or so much of one, is too large."""
        if size > self._max_module_bytes:
            raise limit_reached(
                "server",
                f"the module has {size} bytes or more, at most {self._max_module_bytes} are accepted",
            )

    # -- Upload ----------------------------------------------------------------------------------------------------

    async def add(
        self, chunks: Sequence[bytes], announced: Announcement, *, defer_compilation: bool = False
    ) -> Upload:
        """Keep a module, given in pieces.

        Uploads of the same bytes at the same time share one task. When all their callers have gone away it
        compiles no longer, and the module is not kept.

        Parameters:
            defer_compilation: whether the module is kept before it is compiled.

        Raises:
            RequestError: the bytes are not those that were announced, or there are too many modules.
            ModuleError: they are no valid module.
            ExhaustionError: compiling them would take too much.
        """
        source, sha256 = await self._in_thread(lambda: _joined(chunks))
        _check_announcement(announced, len(source), sha256)
        key = (sha256, defer_compilation)
        upload = self._uploading.get(key)
        if upload is not None:
            return _repeated(await self._wait(key, upload))
        if sha256 not in self._records and len(self._records) + len(self._uploading) >= self._max_modules:
            raise limit_reached(
                "server", f"the server keeps its limit of {self._max_modules} modules; delete some"
            )
        cancellation = Cancellation()
        task = asyncio.create_task(self._add(source, sha256, None if defer_compilation else cancellation))
        upload = self._uploading[key] = _Upload(task, cancellation)
        task.add_done_callback(lambda _: self._uploaded(key, upload))
        return await self._wait(key, upload)

    async def _wait(self, key: tuple[str, bool], upload: _Upload) -> Upload:
        upload.waiting += 1
        try:
            return await asyncio.shield(upload.task)
        finally:
            upload.waiting -= 1
            if not upload.waiting and not upload.task.done():
                del self._uploading[key]  # whoever comes now begins anew
                upload.cancellation.cancel()

    def _uploaded(self, key: tuple[str, bool], upload: _Upload) -> None:
        if self._uploading.get(key) is upload:
            del self._uploading[key]
        if not upload.task.cancelled():
            upload.task.exception()  # a caller that is still there gets it; without one nobody asks

    async def _add(self, source: bytes, sha256: str, compiling: Cancellation | None) -> Upload:
        """Decode, validate and keep a module; compile it before that, unless `compiling` is None."""
        known = self._records.get(sha256)
        if known is not None and known.module is not None and (known.compiled or compiling is None):
            description = await self.description(known)
            return Upload(known, description, created=False, compiled=False, seconds=0.0)
        before, start = self._engine.compilation_count, time.perf_counter()
        record = ModuleRecord(sha256, len(source), time.time())
        record.module = module = await self._in_thread(lambda: self._engine.load_module(source))
        if compiling is not None:
            record.compiled = await self._compile(record, module, compiling)
        seconds = time.perf_counter() - start
        fresh = compiling is not None and self._engine.compilation_count > before
        try:
            # A module that is known from before a restart is written again: that mends a damaged file.
            stored = await self._in_thread(lambda: self._checked_and_written(module, source))
        except BaseException:
            if known is None:
                await self._forget_code(module)
            raise
        record.size, record.create_time = stored.size, stored.create_time
        self._records[sha256] = record
        _logger.info("module uploaded", module=record.name, size=record.size, seconds=round(seconds, 4))
        description = await self.description(record)
        return Upload(record, description, created=known is None, compiled=fresh, seconds=seconds)

    async def _compile(
        self, record: ModuleRecord, module: Module, cancellation: Cancellation
    ) -> CompiledModule:
        """Compile a module, as far as the policy has it be compiled before its first call."""
        return await self._cancellable(
            cancellation,
            lambda: self._engine.compile_module(module, ensure_termination=True, cancellation=cancellation),
        )

    async def _cancellable(self, cancellation: Cancellation, work: Callable[[], T]) -> T:
        """Wait for work in a thread; if the task is cancelled, so is that, unless others wait for the same."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._waiting, work)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise

    def _checked_and_written(self, module: Module, source: bytes) -> StoredModule:
        """Keep a module whose description fits in a message, so that all about it can be told. Else RequestError."""
        size = module_message(module, 0.0, content=False).ByteSize()
        if size > self._max_message_bytes - min(_ROOM_IN_MESSAGE, self._max_message_bytes // 4):
            raise limit_reached(
                "server",
                f"the module's types, imports and exports take {size} bytes, a message has at most "
                f"{self._max_message_bytes}",
            )
        if self._files is None:
            return StoredModule(module.digest, len(source), time.time())
        try:
            return self._files.write(module.digest, source)
        except OSError as error:
            _logger.error("module not stored", module=module_name(module.digest), error=str(error))
            message = f"the server cannot store the module: {error.strerror}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise limit_reached("server", message) from error
            raise RequestError(details.ERROR_REASON_INTERNAL, message) from error

    # -- Compiled ahead --------------------------------------------------------------------------------------------

    async def add_artifact(self, path: Path) -> None:
        """Have a module that was compiled ahead, with its code if that can be used here; else it is compiled later.

        Raises:
            ArtifactFileError: the file is damaged, or not to be trusted, or its module needs what is switched off.
            OSError: it cannot be read.
        """
        artifact = await self._in_thread(lambda: read_artifact(path))
        record = ModuleRecord(artifact.digest, len(artifact.source), path.stat().st_mtime)
        try:
            module = await self._in_thread(lambda: self._engine.load_module(artifact.source))
        except ModuleError as error:
            raise ArtifactFileError(f"the artifact {path} has a module that is refused: {error}") from error
        record.module = module
        try:
            self._engine.use_artifact(artifact)
        except ArtifactError as error:
            _logger.warning(
                "code compiled ahead cannot be used, the module will be compiled when it is needed",
                artifact=str(path),
                module=record.name,
                reason=str(error),
            )
        else:
            record.compiled = await self._compile(record, module, Cancellation())
            _logger.info("module compiled ahead", artifact=str(path), module=record.name)
        self._records[artifact.digest] = record

    # -- Use -------------------------------------------------------------------------------------------------------

    async def module(self, record: ModuleRecord) -> Module:
        """A module, decoded; after a restart the first one who asks has it read. RequestError: it is damaged."""
        if record.module is None:
            async with record.using:
                if record.module is None:
                    if self._records.get(record.sha256) is not record:
                        raise not_found("module", record.name)
                    try:
                        record.module = await self._in_thread(lambda: self._load(record.sha256))
                    except DamagedModuleError as error:
                        _logger.error("damaged module", module=record.name, error=str(error))
                        message = f"the stored bytes of {record.name} are damaged; upload the module again"
                        raise RequestError(details.ERROR_REASON_INTERNAL, message) from error
        return record.module

    async def compiled(self, record: ModuleRecord) -> CompiledModule:
        """A module's code and, in it, the decoded module; made if it is not there.

        If the task is cancelled while it is made, it is given up, unless others wait for it.

        Raises:
            RequestError: the stored module is damaged.
            ExhaustionError: compiling it would take too much.
        """
        if record.compiled is None:
            module = await self.module(record)
            return await self._keep(record, await self._compile(record, module, Cancellation()))
        return record.compiled

    async def _keep(self, record: ModuleRecord, compiled: CompiledModule) -> CompiledModule:
        if self._records.get(record.sha256) is record:
            record.compiled = compiled
        elif record.sha256 not in self._records:  # it was deleted meanwhile
            await self._forget_code(compiled.module)
        return compiled

    async def _forget_code(self, module: Module) -> None:
        """Free the code of a module; what is new of it is written to the cache's places before, which may take long."""
        await self._in_thread(lambda: self._engine.delete_compiled_module(module))

    async def complete(
        self, record: ModuleRecord, listener: Callable[[CompileProgress], object]
    ) -> CompileProgress:
        """Have all functions of a module compiled, as well as the policy has it in the end; how far it is then.

        If the task is cancelled meanwhile, that is given up, unless others wait for it.

        Parameters:
            listener: told how far it is, on the event loop's thread.

        Raises:
            RequestError: the stored module is damaged.
            ExhaustionError: compiling it would take too much.
        """
        module = await self.module(record)
        loop, cancellation = asyncio.get_running_loop(), Cancellation()

        def report(progress: CompileProgress) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(listener, progress)

        def work() -> tuple[CompiledModule, CompileProgress]:
            compiled = self._engine.compile_module(
                module, ensure_termination=True, progress=report, cancellation=cancellation
            )
            return compiled, self._engine.complete(compiled, progress=report, cancellation=cancellation)

        compiled, progress = await self._cancellable(cancellation, work)
        await self._keep(record, compiled)
        return progress

    async def description(self, record: ModuleRecord, content: bool = False) -> module_pb2.Module:
        """A module as a message, with `content` that of its custom sections; errors as `module`.

        That takes seconds for the largest, so a thread does it.
        """
        module = await self.module(record)
        work = partial(module_message, module, record.create_time, content)
        return work() if not content and is_small(module) else await self._in_thread(work)

    async def inspect(
        self, record: ModuleRecord, function: str, tier: Tier
    ) -> module_service_pb2.InspectFunctionResponse:
        """A function in all its forms; errors as `compiled`, and as `engine.inspect_function`."""
        module = (await self.compiled(record)).module
        message = await self._in_thread(lambda: inspection_message(inspect_function(module, function, tier)))
        if message.ByteSize() > self._max_message_bytes:
            raise limit_reached(
                "server",
                f"the function's code takes {message.ByteSize()} bytes to tell, a message has at most "
                f"{self._max_message_bytes}",
            )
        return message

    def _load(self, sha256: str) -> Module:
        assert self._files is not None
        return self._engine.load_module(self._files.read(sha256))

    async def delete(self, sha256: str) -> None:
        """Forget a module; instances of it live on. Raises RequestError if there is none."""
        record = self.record(sha256)
        async with record.using:
            if self._records.get(sha256) is not record:
                raise not_found("module", record.name)
            # In this order: once it is forgotten, an upload of the same bytes would write the file again.
            if self._files is not None:
                files = self._files
                await self._in_thread(lambda: files.delete(sha256))
            del self._records[sha256]
            if record.module is not None:
                await self._forget_code(record.module)
        _logger.info("module deleted", module=record.name)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """End the threads and let the data directory go."""
        for threads in (self._threads, self._waiting):
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)
        if self._files is not None:
            self._files.close()


def _joined(chunks: Sequence[bytes]) -> tuple[bytes, str]:
    source = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return source, hashlib.sha256(source).hexdigest()


def is_small(module: Module) -> bool:
    """Whether what can be told about a module is little enough for the event loop's thread."""
    return len(module.exports) + len(module.imports) + len(module.types) <= _SMALL_INTERFACE


def _repeated(upload: Upload) -> Upload:
    """What an upload is told whose bytes another one was bringing at the same time."""
    return Upload(upload.record, upload.description, created=False, compiled=False, seconds=upload.seconds)


def _check_announcement(announced: Announcement, size: int, sha256: str) -> None:
    if announced.size is not None and announced.size != size:
        raise RequestError(
            details.ERROR_REASON_UPLOAD_MISMATCH,
            f"{announced.size} bytes were announced, but {size} arrived",
            details.UploadMismatch(expected_size_bytes=announced.size, actual_size_bytes=size),
            expected=str(announced.size),
            actual=str(size),
        )
    if announced.sha256 is not None and announced.sha256 != sha256:
        raise RequestError(
            details.ERROR_REASON_UPLOAD_MISMATCH,
            f"the SHA-256 {announced.sha256} was announced, but the bytes have {sha256}",
            details.UploadMismatch(
                expected_sha256=announced.sha256, actual_sha256=sha256, actual_size_bytes=size
            ),
            expected=announced.sha256,
            actual=sha256,
        )
