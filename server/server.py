"""The server: all parts, put together, started and stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from farcall.engine import Engine, EngineStatistics
from farcall.engine.host.filesystem.mounts import AllowedDirectories
from farcall.proto.farcall.v1 import (
    global_service_pb2,
    global_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    instance_service_pb2,
    instance_service_pb2_grpc,
    invocation_service_pb2,
    invocation_service_pb2_grpc,
    memory_service_pb2,
    memory_service_pb2_grpc,
    module_service_pb2,
    module_service_pb2_grpc,
    program_service_pb2,
    program_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
    store_service_pb2,
    store_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
)
from farcall.server.configuration import WASM_PAGE, ServerConfiguration
from farcall.server.counters import CallCounters
from farcall.server.deadlines import TimeLimits
from farcall.server.errors import StopReason
from farcall.server.execution.call_site import CallSite
from farcall.server.execution.executor import Executor
from farcall.server.guards.draining import DrainingGuard
from farcall.server.guards.errors import ErrorGuard
from farcall.server.guards.guard import GuardedRegistration
from farcall.server.guards.within_call import WithinCallGuard
from farcall.server.host_modules import guarded_host_modules
from farcall.server.instantiator import Instantiator
from farcall.server.invoker import Invoker
from farcall.server.listening import listen
from farcall.server.module_files import ModuleFiles
from farcall.server.module_library import ModuleLibrary
from farcall.server.programs.runner import Preparer
from farcall.server.request_ids import RememberedAnswers
from farcall.server.services.extern_access import ExternAccess
from farcall.server.services.global_service import GlobalService
from farcall.server.services.import_service import ImportService
from farcall.server.services.instance_service import InstanceService
from farcall.server.services.invocation_service import InvocationService
from farcall.server.services.memory_service import MemoryService
from farcall.server.services.module_service import ModuleService
from farcall.server.services.program_service import ProgramService
from farcall.server.services.server_service import ServerService
from farcall.server.services.store_service import StoreService
from farcall.server.services.table_service import TableService
from farcall.server.store_registry import StoreRegistry
from farcall.server.wasi.mounts import Mounter

SERVICES = tuple(
    service.full_name
    for file in (
        global_service_pb2,
        import_service_pb2,
        instance_service_pb2,
        invocation_service_pb2,
        memory_service_pb2,
        module_service_pb2,
        program_service_pb2,
        server_service_pb2,
        store_service_pb2,
        table_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
"""Full names of the services of farcall.v1."""

_TERMINATION_PATIENCE = 2.0
"""Seconds for callers to be told that their guests were stopped, when the grace is over."""

_logger = structlog.get_logger(__name__)


class Server:
    """A server and all it holds; made, started and stopped on one event loop."""

    def __init__(self, configuration: ServerConfiguration) -> None:
        """Put a server together.

        Raises:
            DirectoryInUseError: another server uses the data directory.
            OSError: the data directory cannot be used.
            MountError: an allowed directory cannot be opened.
        """
        self._configuration = configuration
        directory = configuration.data_directory
        files = None if directory is None else ModuleFiles(directory)
        self.engine = Engine(
            profiling=configuration.perf,
            total_memory_bytes=configuration.total_memory_pages * WASM_PAGE,
            disabled_features=configuration.disabled_features,
            code_policy=configuration.code_policy,
            compile_limits=configuration.compile_limits,
            cache=configuration.cache,
        )
        self._directories = AllowedDirectories(configuration.allowed_directories)
        self._library = ModuleLibrary(
            self.engine,
            files,
            max_modules=configuration.max_modules,
            max_module_bytes=configuration.max_module_bytes,
            max_message_bytes=configuration.max_message_bytes,
        )
        self._registry = StoreRegistry(self.engine, configuration)
        self._executor = Executor(asyncio.get_running_loop(), configuration.max_concurrent_calls)
        self._program_executor = Executor(asyncio.get_running_loop(), configuration.max_programs)
        self._counters = CallCounters()
        self._draining = DrainingGuard()
        self._listening = False
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
        self._server = grpc.aio.server(options=_channel_options(configuration))
        self._add_services()

    def _add_services(self) -> None:
        configuration, registry = self._configuration, self._registry
        sites: dict[str, CallSite[Any]] = {}
        server: Any = GuardedRegistration(
            self._server,
            [ErrorGuard(), self._draining, WithinCallGuard(sites)],
            configuration.max_message_bytes,
        )
        limits = TimeLimits(configuration.default_call_timeout, configuration.max_call_timeout)
        invoker = Invoker(
            registry,
            self._executor,
            self._counters,
            max_pending=configuration.max_pending_calls_per_instance,
            max_message_bytes=configuration.max_message_bytes,
        )
        mounter = Mounter(self._directories, configuration.max_mounted_bytes)
        host_modules = guarded_host_modules(configuration.host_modules)
        instantiator = Instantiator(
            registry,
            self._library,
            self._executor,
            mounter,
            host_modules=host_modules,
            max_output_bytes=configuration.max_output_bytes,
        )
        access = ExternAccess(registry, invoker, limits)
        remembered = configuration.max_remembered_requests
        self._modules = ModuleService(
            self._library, configuration.max_concurrent_uploads, configuration.upload_idle_timeout
        )
        self._invocations = InvocationService(invoker, limits)
        self._imports = ImportService(registry, instantiator, self._executor, limits, sites)

        programs = Preparer(
            self.engine,
            self._library,
            registry,
            mounter,
            host_modules,
        )
        program_limit = configuration.max_program_timeout
        self._programs = ProgramService(
            programs,
            self._program_executor,
            TimeLimits(program_limit, program_limit),
            max_programs=configuration.max_programs,
            idle_timeout=configuration.upload_idle_timeout,
        )

        module_service_pb2_grpc.add_ModuleServiceServicer_to_server(self._modules, server)
        store_service_pb2_grpc.add_StoreServiceServicer_to_server(
            StoreService(registry, instantiator, RememberedAnswers(remembered)), server
        )
        instance_service_pb2_grpc.add_InstanceServiceServicer_to_server(
            InstanceService(registry, instantiator, RememberedAnswers(remembered), limits), server
        )
        invocation_service_pb2_grpc.add_InvocationServiceServicer_to_server(self._invocations, server)
        import_service_pb2_grpc.add_ImportServiceServicer_to_server(self._imports, server)
        program_service_pb2_grpc.add_ProgramServiceServicer_to_server(self._programs, server)
        memory_service_pb2_grpc.add_MemoryServiceServicer_to_server(
            MemoryService(access, configuration.max_message_bytes), server
        )
        global_service_pb2_grpc.add_GlobalServiceServicer_to_server(GlobalService(access), server)
        table_service_pb2_grpc.add_TableServiceServicer_to_server(TableService(access), server)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(
            ServerService(self.engine, configuration, self._count), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self) -> str:
        """Listen; the address, with the port that was chosen.

        Raises:
            ArtifactFileError: a file of code that was compiled ahead is none, damaged, or not to be trusted.
            ListenError: the address cannot be listened on, or the certificate is none.
            OSError: such a file, or one of the encryption, cannot be read.
        """
        for path in self._configuration.artifacts:
            await self._library.add_artifact(path)
        listening = listen(self._server, self._configuration)
        await self._server.start()
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._listening = True
        _logger.info("listening", address=listening, modules=len(self._library))
        return listening

    async def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let running ones finish within the grace, stop the rest, and give everything back.

        Parameters:
            grace: seconds; the configuration's where not given.
        """
        grace = self._configuration.shutdown_grace if grace is None else grace
        if self._listening:
            _logger.info("stopping", grace_seconds=grace)
        self._draining.drain()
        self._invocations.drain()
        self._imports.drain()
        await self._health.enter_graceful_shutdown()
        if not await self._draining.idle(grace):
            jobs = sum(executor.open_jobs for executor in self._executors)
            _logger.warning("stopping calls that still run", jobs=jobs)
            self._stop_jobs()
            await self._draining.idle(_TERMINATION_PATIENCE)
        # With a grace, so that the answers to the last calls, which are done, reach their callers.
        await self._server.stop(_TERMINATION_PATIENCE)
        self._stop_jobs()
        await asyncio.to_thread(self.engine.close)
        for executor in self._executors:
            await asyncio.to_thread(executor.workers.stop)
        await self._library.close()
        self._directories.close()
        if self._listening:
            _logger.info("stopped")

    @property
    def _executors(self) -> tuple[Executor, Executor]:
        return self._executor, self._program_executor

    def _stop_jobs(self) -> None:
        for executor in self._executors:
            executor.stop_all(StopReason.SHUTDOWN)

    def end_grace(self) -> None:
        """While `stop` waits for running calls: wait no longer."""
        self._draining.end_waiting()

    async def wait(self) -> None:
        """Wait until the server has been stopped."""
        await self._server.wait_for_termination()

    def _count(self) -> server_service_pb2.ServerCounters:
        statistics = self.engine.statistics()
        return server_service_pb2.ServerCounters(
            modules_kept=len(self._library),
            uploads_pending=self._modules.uploads,
            stores_open=self._registry.store_count,
            instances_open=self._registry.instance_count,
            calls_pending=sum(len(record.pending) for record in self._registry),
            calls_total=self._counters.calls,
            calls_trapped_total=self._counters.trapped,
            calls_terminated_total=self._counters.terminated,
            compiled_modules=statistics.compiled_modules,
            compiles_total=statistics.compilations,
            cache_hits_total=statistics.cache_hits,
            memories_live=statistics.memories,
            instances_created_total=self._registry.instances_created,
            programs_running=self._programs.running,
            programs_total=self._programs.started,
            engine={
                "code_bytes": statistics.code_bytes,
                "compile_jobs_cancelled_total": statistics.compile_jobs.cancelled,
                "compile_jobs_failed_total": statistics.compile_jobs.failed,
                "compile_jobs_queued": statistics.compile_jobs.queued,
                "compile_jobs_running": statistics.compile_jobs.running,
                "compile_jobs_total": statistics.compile_jobs.compiled,
                "compile_microseconds_total": round(statistics.compile_seconds * 1e6),
                "instances": statistics.instances,
                "linked_groups": statistics.linked_groups,
                "stores": statistics.stores,
                **_cache_counters(statistics),
            },
        )


def _cache_counters(statistics: EngineStatistics) -> dict[str, int]:
    """Counters of the cache, by place; `cache_disk_hits` for instance."""
    counters = {
        "cache_memory_evictions": statistics.cache_evictions,
        "cache_stored_hits": statistics.cache.hits,
        "cache_stored_misses": statistics.cache.misses,
        "cache_stored_rejected": statistics.cache.rejected,
        "cache_stored_failures": statistics.cache.failures,
    }
    for place in statistics.cache.places:
        name = place.name.replace(" ", "_")
        for field in ("entries", "hits", "misses", "bytes", "stored", "evictions", "errors"):
            value = getattr(place, field)
            if value is not None:
                counters[f"cache_{name}_{field}"] = value
    return counters


def _channel_options(configuration: ServerConfiguration) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", configuration.max_message_bytes),
        ("grpc.max_send_message_length", configuration.max_message_bytes),
        # Two servers on one port would share its connections by chance.
        ("grpc.so_reuseport", 0),
        # A client whose machine is gone sends no farewell: ask, so that its guests do not run on.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
