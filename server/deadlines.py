"""How long a request may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds for requests without a deadline, and at most for those with one."""

    default: float
    maximum: float

    def seconds(self, context: grpc.aio.ServicerContext[Any, Any]) -> float:
        """What is left for a request."""
        remaining = context.time_remaining()
        return self.default if remaining is None else min(remaining, self.maximum)

    def seconds_or(self, context: grpc.aio.ServicerContext[Any, Any], wanted: float | None) -> float:
        """What is left for a part of a request that has its own limit, or none."""
        if wanted is None:
            return self.seconds(context)
        remaining = context.time_remaining()
        return min(wanted, self.maximum if remaining is None else remaining, self.maximum)
