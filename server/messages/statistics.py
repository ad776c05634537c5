"""What the engine tells about compiling, as messages."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from farcall.engine.statistics import CompilationStatistics
from farcall.proto.farcall.v1 import server_service_pb2 as messages
from farcall.server.resource_names import module_name


def compilation_message(statistics: CompilationStatistics) -> messages.CompilationStatistics:
    """What has been compiled, is cached, and waits to be compiled."""
    queue = statistics.queue
    return messages.CompilationStatistics(
        tiers=[
            messages.TierStatistics(
                tier=tier.tier,
                functions_total=tier.functions,
                code_bytes_total=tier.code_bytes,
                compile_duration=Duration(seconds=int(tier.seconds), nanos=int(tier.seconds % 1 * 1e9)),
            )
            for tier in statistics.tiers
        ],
        cache_places=[
            messages.CachePlaceStatistics(
                place=place.place,
                hits_total=place.hits,
                misses_total=place.misses,
                rejected_total=place.rejected,
                entries=place.entries,
                size_bytes=place.bytes,
            )
            for place in statistics.cache_places
        ],
        queue=messages.CompileQueueStatistics(
            waiting=queue.waiting,
            running=queue.running,
            cancelled_total=queue.cancelled,
            failed_total=queue.failed,
        ),
        modules=[
            messages.ModuleCodeStatistics(
                module=module_name(module.digest),
                functions_uncompiled=module.uncompiled,
                functions_fast=module.fast,
                functions_optimized=module.optimized,
                code_bytes=module.code_bytes,
            )
            for module in statistics.modules
        ],
    )
