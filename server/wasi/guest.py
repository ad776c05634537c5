"""FAKE for now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from farcall.engine import I32, I64, Function, FunctionType, Module, Stoppable, Store
from farcall.engine.host.wasi.streams import InputStream, OutputStream
from farcall.engine.runtime.waiter import Waiter
from farcall.server.wasi.configuration import GuestEnvironment
from farcall.server.wasi.mounts import GuestDirectory


@dataclass(frozen=True, slots=True)
class GuestStreams:
    standard_input: InputStream
    standard_output: OutputStream
    standard_error: OutputStream


class Exit(Exception):
    pass


class Guest:
    def __init__(
        self, store: Store, module: Module, environment: GuestEnvironment, streams: GuestStreams
    ) -> None:
        self.memory: Any = None
        self.streams = streams
        self.environment = environment
        M = "wasi_snapshot_preview1"
        t = lambda n, r=1: FunctionType((I32,) * n, (I32,) * r)
        self.imports = {
            (M, n): store.host_function(ty, f)
            for n, ty, f in [
                ("fd_write", t(4), self.fd_write),
                ("fd_read", t(4), self.fd_read),
                ("proc_exit", t(1, 0), self.proc_exit),
                ("args_sizes_get", t(2), self.args_sizes),
                ("args_get", t(2), self.args_get),
                ("environ_sizes_get", t(2), self.env_sizes),
                ("environ_get", t(2), self.env_get),
                ("fd_close", t(1), lambda a: 0),
                (
                    "fd_fdstat_get",
                    t(2),
                    lambda a, b: self.memory.write(b, bytes([2, 0] + [0] * 6 + [255] * 16)) or 0,
                ),
                ("fd_prestat_get", t(2), lambda a, b: 8),
                ("fd_prestat_dir_name", t(3), lambda a, b, c: 8),
                ("fd_seek", FunctionType((I32, I64, I32, I32), (I32,)), lambda a, b, c, d: 70),
            ]
        }

    def bind(self, instance):
        self.memory = instance.memory("memory")
        self.waiter = Waiter(lambda: instance.engine.group)

    def iovs(self, p, n):
        import struct

        raw = self.memory.read(p, 8 * n)
        return [struct.unpack_from("<II", raw, 8 * i) for i in range(n)]

    def u32(self, p, v):
        self.memory.write(p, v.to_bytes(4, "little"))

    def fd_write(self, fd, p, n, r):
        s = {1: self.streams.standard_output, 2: self.streams.standard_error}[fd]
        b = [memoryview(self.memory.read(a, k)) for a, k in self.iovs(p, n)]
        s.add_waker(self.waiter.wake)
        try:
            while True:
                self.waiter.wait_for(s.writable)
                done = s.write(b)
                if done is not None:
                    break
        finally:
            s.remove_waker(self.waiter.wake)
        self.u32(r, done)
        return 0

    def fd_read(self, fd, p, n, r):
        s = self.streams.standard_input
        v = self.iovs(p, n)
        bufs = [bytearray(k) for _, k in v]
        s.add_waker(self.waiter.wake)
        try:
            self.waiter.wait_for(lambda: s.available() is not None)
            done = s.read([memoryview(b) for b in bufs])
        finally:
            s.remove_waker(self.waiter.wake)
        for (a, k), b in zip(v, bufs):
            self.memory.write(a, bytes(b))
        self.u32(r, done)
        return 0

    def proc_exit(self, code):
        raise Exit(code)

    def _sizes(self, items, a, b):
        self.u32(a, len(items))
        self.u32(b, sum(len(i) + 1 for i in items))
        return 0

    def _get(self, items, a, b):
        for i in items:
            self.u32(a, b)
            self.memory.write(b, i + b"\0")
            a += 4
            b += len(i) + 1
        return 0

    def args_sizes(self, a, b):
        return self._sizes(self.environment.arguments, a, b)

    def args_get(self, a, b):
        return self._get(self.environment.arguments, a, b)

    def env_sizes(self, a, b):
        return self._sizes([k + b"=" + v for k, v in self.environment.environment], a, b)

    def env_get(self, a, b):
        return self._get([k + b"=" + v for k, v in self.environment.environment], a, b)

    def run(self, function: Function, stoppable: Stoppable) -> int:
        try:
            function.call((), stoppable)
        except Exit as e:
            return e.args[0] & 0xFFFFFFFF
        return 0


@contextmanager
def guest_imports(
    store: Store,
    module: Module,
    environment: GuestEnvironment,
    directories: Sequence[GuestDirectory],
    streams: GuestStreams,
) -> Iterator[Guest]:
    yield Guest(store, module, environment, streams)
