"""Validation (specification, chapter 3): that a decoded module cannot go wrong."""

from __future__ import annotations

from farcall.engine.validation.module import validate_module

__all__ = ["validate_module"]
