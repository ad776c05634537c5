"""How far compiling is, as messages."""

from __future__ import annotations

from farcall.engine import CompileProgress
from farcall.proto.farcall.v1 import module_service_pb2 as messages


def progress_message(progress: CompileProgress, *, done: bool = False) -> messages.CompileModuleResponse:
    """How far it is; whether that is all."""
    tiers = (
        (messages.COMPILATION_TIER_FAST, progress.fast),
        (messages.COMPILATION_TIER_OPTIMIZED, progress.optimized),
    )
    return messages.CompileModuleResponse(
        functions=progress.functions,
        functions_done=progress.done,
        tiers=[messages.TierProgress(tier=tier, functions=count) for tier, count in tiers if count],
        code_size_bytes=progress.bytes,
        code_size_bytes_done=progress.bytes_done,
        done=done,
    )
