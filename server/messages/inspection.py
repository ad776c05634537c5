"""Inspected functions as messages."""

from __future__ import annotations

from farcall import engine
from farcall.proto.farcall.v1 import module_service_pb2 as messages

TIERS: dict[messages.CodeTier.ValueType, engine.Tier] = {
    messages.CODE_TIER_UNSPECIFIED: engine.Tier.OPTIMIZED,
    messages.CODE_TIER_FAST: engine.Tier.FAST,
    messages.CODE_TIER_OPTIMIZED: engine.Tier.OPTIMIZED,
}
"""The engine's tier for each that can be asked for."""

_MESSAGES = {
    engine.Tier.FAST: messages.CODE_TIER_FAST,
    engine.Tier.OPTIMIZED: messages.CODE_TIER_OPTIMIZED,
}


def inspection_message(inspection: engine.FunctionInspection) -> messages.InspectFunctionResponse:
    """A function in all its forms."""
    return messages.InspectFunctionResponse(
        function_index=inspection.index,
        function_name=inspection.name,
        tier=_MESSAGES[inspection.tier],
        target=inspection.target,
        wasm=map(_line, inspection.wasm),
        lowered=map(_line, inspection.lowered),
        passed=map(_line, inspection.passed),
        machine=map(_line, inspection.machine),
    )


def _line(line: engine.CodeLine) -> messages.CodeLine:
    return messages.CodeLine(offset=line.offset, text=line.text, address=line.address, content=line.content)
