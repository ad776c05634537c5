"""What a server can be told at its start."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from farcall.engine import (
    DEFAULT_DISK_BYTES,
    CacheConfiguration,
    CodePolicy,
    CompileLimits,
    HostModuleError,
    ImportProvider,
    features_named,
)
from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.mounts import AllowedDirectory, parse_allowed_directory
from farcall.engine.host.named_modules import check_host_modules, load_host_modules

MEBIBYTE = 1 << 20
WASM_PAGE = 1 << 16
"""Bytes of a page of a guest's memory."""


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """Configuration of a server; every limit has a default that a small machine can bear.

    Attributes:
        address: host and port to listen on, port 0 chooses a free one; or `unix:PATH`.
        tls_certificate: PEM file of the server's certificate chain; with it, connections are encrypted.
        tls_private_key: PEM file of its key.
        tls_client_authorities: PEM file of the authorities one of which must vouch for a client; None asks for none.
        data_directory: where uploaded modules are kept; None keeps them in memory only, until the server ends.
        artifacts: files of `farcall compile` whose modules and code the server has from its start.
        max_message_bytes: largest message in both directions.
        max_module_bytes: largest module.
        max_modules: how many modules are kept.
        max_concurrent_uploads: how many uploads may be in progress.
        upload_idle_timeout: seconds that an upload may wait for its next message.
        max_stores: how many stores may be open, `default` included.
        max_instances_per_store: open instances of a store, where its quota does not say less.
        max_memory_pages: size of each memory in pages of 64 KiB; more than 65,536 only matter to 64-bit memories.
        max_total_memory_pages: size of all memories and tables together; None for three quarters of the machine's.
        max_table_elements: size of each table, where a store's quota does not say less.
        max_pending_calls_per_instance: requests that wait for, or run in, one instance.
        max_concurrent_calls: guests that run at the same time (each in a thread).
        default_call_timeout: seconds that a call may take where the caller sets no deadline.
        max_call_timeout: seconds that a call may take, whatever deadline the caller sets.
        max_programs: programs that run at the same time (each in a thread).
        max_program_timeout: seconds that a program may run, whatever deadline the caller sets, and where it sets none.
        max_mounted_bytes: what the files in memory, and the archives, of one program or instance may take together.
        max_output_bytes: output that is kept of an instance, of each of its two streams.
        allowed_directories: directories that programs may be given, by names of the operator's choice.
        host_modules: what guests can import besides what is built in, by the name of the import module.
        shutdown_grace: seconds that running calls get to finish when the server is told to stop.
        max_remembered_requests: answers that are kept for repeated request ids.
        disabled_features: WebAssembly features, by name, that modules may not use.
        code_policy: when functions are compiled, and how well: `lazy`, `optimized` or `fast`.
        compile_processes: how many compile jobs run at a time; None is as many as there are cores.
        compile_queue: how many compile jobs may wait; a module of a megabyte makes some ten.
        compile_seconds: processor time of a compile job at most; None is what its size makes reasonable.
        compile_memory: bytes of address space that a compile job may have.
        perf: what is written for Linux `perf`: `map`, `jitdump`, or None for nothing.
        cache_dir: where compiled code is kept across restarts, and shared with other servers of this user; by
            default `cache` in the data directory.
        cache_bytes: what it may take there.
        cache_url: an object store where servers on several machines share code, such as `s3://bucket/prefix`; it
            needs `cache_key_file`.
        cache_key_file: what cached code is authenticated with: at least 32 bytes, the same for all who share it.
    """

    address: str = "127.0.0.1:7070"
    tls_certificate: Path | None = None
    tls_private_key: Path | None = None
    tls_client_authorities: Path | None = None
    data_directory: Path | None = None
    artifacts: tuple[Path, ...] = ()
    max_message_bytes: int = 16 * MEBIBYTE
    max_module_bytes: int = 64 * MEBIBYTE
    max_modules: int = 10_000
    max_concurrent_uploads: int = 16
    upload_idle_timeout: float = 60.0
    max_stores: int = 1_000
    max_instances_per_store: int = 10_000
    max_memory_pages: int = 65_536
    max_total_memory_pages: int | None = None
    max_table_elements: int = 10_000_000
    max_pending_calls_per_instance: int = 1_000
    max_concurrent_calls: int = 64
    default_call_timeout: float = 60.0
    max_call_timeout: float = 3600.0
    max_programs: int = 32
    max_program_timeout: float = 86_400.0
    max_mounted_bytes: int = 256 * MEBIBYTE
    max_output_bytes: int = MEBIBYTE
    allowed_directories: tuple[AllowedDirectory, ...] = ()
    host_modules: Mapping[str, ImportProvider] = field(default_factory=dict)
    shutdown_grace: float = 10.0
    max_remembered_requests: int = 10_000
    disabled_features: tuple[str, ...] = ()
    code_policy: str = "lazy"
    compile_processes: int | None = None
    compile_queue: int = 10_000
    compile_seconds: int | None = None
    compile_memory: int = 4096 * MEBIBYTE
    perf: str | None = None
    cache_dir: Path | None = None
    cache_bytes: int = DEFAULT_DISK_BYTES
    cache_url: str | None = None
    cache_key_file: Path | None = None

    def __post_init__(self) -> None:
        for name in (
            "max_message_bytes",
            "max_module_bytes",
            "max_modules",
            "max_concurrent_uploads",
            "upload_idle_timeout",
            "max_stores",
            "max_instances_per_store",
            "max_memory_pages",
            "max_total_memory_pages",
            "max_table_elements",
            "max_pending_calls_per_instance",
            "max_concurrent_calls",
            "default_call_timeout",
            "max_call_timeout",
            "max_programs",
            "max_program_timeout",
            "max_mounted_bytes",
            "max_output_bytes",
            "max_remembered_requests",
            "compile_processes",
            "compile_queue",
            "compile_seconds",
            "compile_memory",
            "cache_bytes",
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be more than 0, not {value}")
        features_named(self.disabled_features)
        for directory in self.allowed_directories:
            if not Path(directory.path).is_dir():
                raise ValueError(f"the allowed directory {directory.name!r} is none: {directory.path}")
        try:
            check_host_modules(self.host_modules)
        except HostModuleError as error:
            raise ValueError(str(error)) from None
        CodePolicy(self.code_policy)
        _check_address(self.address)
        if (self.tls_certificate is None) != (self.tls_private_key is None):
            raise ValueError("tls_certificate and tls_private_key go together")
        if self.tls_client_authorities is not None and self.tls_certificate is None:
            raise ValueError("tls_client_authorities needs tls_certificate")
        if self.shutdown_grace < 0:
            raise ValueError(f"shutdown_grace must not be negative, but is {self.shutdown_grace}")

        _ = self.cache  # looks at what belongs together

    @property
    def cache(self) -> CacheConfiguration:
        """Where the engine keeps code."""
        directory = self.cache_dir
        if directory is None and self.data_directory is not None:
            directory = self.data_directory / "cache"
        return CacheConfiguration(
            directory=directory,
            disk_bytes=self.cache_bytes,
            url=self.cache_url,
            key_file=self.cache_key_file,
        )

    @property
    def compile_limits(self) -> CompileLimits:
        """What compiling may take."""
        return CompileLimits(
            processes=self.compile_processes,
            queue=self.compile_queue,
            seconds=self.compile_seconds,
            memory_bytes=self.compile_memory,
        )

    @property
    def total_memory_pages(self) -> int:
        """`max_total_memory_pages`, or three quarters of the machine's."""
        if self.max_total_memory_pages is not None:
            return self.max_total_memory_pages
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4 // WASM_PAGE


def allowed_directory(text: str) -> AllowedDirectory:
    """Read `NAME=PATH` or `NAME=PATH:ro`. Raises ValueError."""
    try:
        return parse_allowed_directory(text)
    except MountError as error:
        raise ValueError(str(error)) from None


def host_modules(texts: Iterable[str]) -> dict[str, ImportProvider]:
    """Import what `NAME=package.module:attribute` names. Raises ValueError."""
    try:
        return load_host_modules(texts)
    except HostModuleError as error:
        raise ValueError(str(error)) from error


def _check_address(address: str) -> None:
    """Raise ValueError for what is no address: gRPC would take the port modulo 65536, and a host alone for a name."""
    if address.startswith(("unix:", "unix-abstract:")):
        return
    host, separator, port = address.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError(
            f"address must be HOST:PORT, with a port from 0 to 65535, or unix:PATH, not {address!r}"
        )
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"an IPv6 address stands in brackets, [{host}]:{port}, not {address!r}")
