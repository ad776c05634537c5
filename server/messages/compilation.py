"""How far compiling is, as messages."""

from __future__ import annotations

from farcall.engine import CompileProgress, Module
from farcall.proto.farcall.v1 import module_service_pb2 as messages


def progress_message(progress: CompileProgress) -> messages.CompileModuleResponse:
    """How far it is."""
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
    )


def done_message(module: Module, progress: CompileProgress | None) -> messages.CompileModuleResponse:
    """That all is done; `progress` is what was told last, if anything was."""
    if progress is None:
        size = sum(body.end - body.start for body in module.functions)
        count = len(module.functions)
        return messages.CompileModuleResponse(
            functions=count,
            functions_done=count,
            code_size_bytes=size,
            code_size_bytes_done=size,
            done=True,
        )
    message = progress_message(progress)
    message.done = True
    return message
