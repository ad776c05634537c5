"""What became of a script's assertions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

TEXT_FORMAT = "text format, not applicable"
"""Why assertions about malformed text are skipped: text never reaches an engine of the binary format."""

TEXT_ANNOTATIONS = "text format, not applicable: annotations"
"""Why assertions about malformed annotations are skipped: they are text, too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command.

    Attributes:
        line: of the command in its script.
        command: the script's word for it.
        status: other commands than assertions are reported only where they failed or were skipped.
        counted: whether it counts: an assertion does, and whatever failed.
        expected: what should have happened (failures, other messages).
        got: what happened.
        reason: why it was skipped.
        other_message: passed, but the engine's reason does not begin with the script's.
    """

    line: int
    command: str
    status: Literal["passed", "failed", "skipped"]
    counted: bool = True
    expected: str = ""
    got: str = ""
    reason: str = ""
    other_message: bool = False


@dataclass(slots=True)
class FileReport:
    """All outcomes of one script."""

    name: str
    passed: int = 0
    failures: list[Outcome] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    skipped_modules: Counter[str] = field(default_factory=Counter)
    other_messages: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        match outcome.status:
            case "passed":
                self.passed += outcome.counted
                if outcome.other_message:
                    self.other_messages.append(outcome)
            case "failed":
                self.failures.append(outcome)
            case "skipped":
                (self.skipped if outcome.counted else self.skipped_modules)[outcome.reason] += 1

    @property
    def line(self) -> str:
        """The report in one line."""
        line = f"{self.name}: {tally(self.passed, len(self.failures), self.skipped.total())}"
        reasons = [f"{count} {reason}" for reason, count in sorted(self.skipped.items())]
        if reasons:
            line += f" ({'; '.join(reasons)})"
        elif self.skipped_modules:
            reasons = [f"{count} {reason}" for reason, count in sorted(self.skipped_modules.items())]
            line += f" (other commands skipped: {'; '.join(reasons)})"
        return line

    def as_json(self) -> dict[str, object]:
        """The report for `--json`."""
        return {
            "file": self.name,
            "passed": self.passed,
            "failed": len(self.failures),
            "skipped": self.skipped.total(),
            "skip_reasons": dict(self.skipped),
            "skipped_commands": dict(self.skipped_modules),
            "messages": len(self.other_messages),
            "seconds": round(self.seconds, 3),
            "failures": [_as_json(outcome) for outcome in self.failures],
            "other_messages": [_as_json(outcome) for outcome in self.other_messages],
        }


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "line": outcome.line,
        "command": outcome.command,
        "expected": outcome.expected,
        "got": outcome.got,
    }


def tally(passed: int, failed: int, skipped: int) -> str:
    """The words that reports end with."""
    return f"{passed} passed, {failed} failed, {skipped} skipped"
