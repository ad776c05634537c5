"""What the services of memories, globals and tables have in common: work on an export that takes its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc

from farcall.engine import ExportNotFoundError, Extern, Global, Instance, Memory, Table, end_turn, try_turn
from farcall.server.deadlines import TimeLimits
from farcall.server.invoker import Invoker
from farcall.server.store_registry import InstanceRecord, StoreRegistry

T = TypeVar("T")
E = TypeVar("E", bound=Extern)


class ExternAccess:
    """Finds exports, and does work on them when it is the request's turn."""

    def __init__(self, registry: StoreRegistry, invoker: Invoker, limits: TimeLimits) -> None:
        self._registry = registry
        self._invoker = invoker
        self._limits = limits

    def find(
        self, instance: str, kind: str, name: str, get: Callable[[Instance, str], E]
    ) -> tuple[InstanceRecord, E]:
        """An exported memory, global or table. Raises RequestError if there is none."""
        record = self._registry.instance(instance, "instance")
        try:
            return record, get(record.instance, name)
        except ExportNotFoundError:
            raise record.no_export(kind, name) from None

    async def run(
        self,
        record: InstanceRecord,
        extern: Memory | Global | Table,
        work: Callable[[], T],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> T:
        """Do work on `extern` that takes little time: on the spot if the instance is idle, else at its turn.

        What works on a shared memory waits for no turn: guests that use it may run for ever.

        Raises:
            RequestError: too many requests wait, or it was stopped while it waited.
            FarcallError: what the work raises.
        """
        if isinstance(extern, Memory) and not extern.links:
            return work()
        queue = record.queue
        if queue.enter():
            try:
                if try_turn(extern.owner):
                    try:
                        return work()
                    finally:
                        end_turn(extern.owner)
            finally:
                queue.leave()
        job = self._invoker.new_job(record, lambda _stoppable: work())
        return await self._invoker.executor.run(queue, job, lambda: self._limits.seconds(context))
