"""The operator's host modules, which guests of this server find beside those that are built in."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from farcall.engine import ImportFailedError, ImportProvider
from farcall.engine.host.guarded_module import GuardedModule

_logger = structlog.get_logger(__name__)


def guarded_host_modules(modules: Mapping[str, ImportProvider]) -> dict[str, ImportProvider]:
    """Host modules whose mistakes end the guest that came upon them, and are told in the log."""
    return {name: GuardedModule(module, _log) for name, module in modules.items()}


def _log(failure: ImportFailedError, error: BaseException) -> None:
    _logger.error("host function failed", module=failure.module, function=failure.name, exc_info=error)
