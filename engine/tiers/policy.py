"""What an engine is told of when to compile."""

from __future__ import annotations

from enum import Enum


class CodePolicy(Enum):
    """When functions are compiled, and how well."""

    LAZY = "lazy"
    """Fast when they are first called; then well, in the background, those that run most first."""
    OPTIMIZED = "optimized"
    """Well, all of a module, before its first call."""
    FAST = "fast"
    """Fast when they are first called, and never again."""
