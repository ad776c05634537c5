"""What a rule raises. Whoever calls the rule knows where in the module that is, and makes an error of it."""

from __future__ import annotations

from farcall.engine.structure.types import ValueType

BASE = ValueType("nothing", 0, 0, "")
"""Marker on the stack of operands: no more of them in this block."""

_LONGEST = 200


def shorten(text: str) -> str:
    """Text out of a module, short enough for a message: names and types can have millions of characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class Rejection(Exception):  # noqa: N818 - it never leaves this package
    """The code is invalid; `reason` says why, beginning with the specification's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def explain(self, instruction: str) -> str:
        """The reason, where `instruction` is the one that was being checked."""
        return self.reason


class LimitReached(Rejection):
    """The code needs more than a limit of `binary.limits` allows."""


class TypeMismatch(Rejection):
    """An operand has not the type that the instruction takes."""

    def __init__(self, expected: ValueType | None, found: ValueType) -> None:
        super().__init__("type mismatch")
        self.expected = expected
        self.found = found

    def explain(self, instruction: str) -> str:
        """The reason with the instruction's name and both types, in the words of the specification's interpreter."""
        if self.expected is None:
            return f"{self.reason}: {instruction} expected a value, found nothing"
        there = "" if self.found is BASE else self.found.name
        return f"{self.reason}: instruction requires [{self.expected.name}] but stack has [{there}]: {instruction}"
