"""What is known of each function's code without reading it again, in packed arrays."""

from __future__ import annotations

from array import array
from enum import IntEnum


class Fact(IntEnum):
    """What a function's row holds: numbers of 32 bits.

    KNOWN is 1 if the row is filled; TAIL_CALLS is whether it makes any. The others are counts, but WIDEST_CALLEE:
    how many parameters and results the widest type has of functions that it calls. BRANCHES counts the instructions
    of `BRANCHING_RULES` and the labels of `br_table`; CHANGED_LOCALS each local that is set once;
    ACCESSES_0 what is accessed in memory 0, and ACCESSES_OTHER in others, neither with the ATOMIC_ACCESSES.
    """

    KNOWN = 0
    INSTRUCTIONS = 1
    BRANCHES = 2
    CHANGED_LOCALS = 3
    TRAPPING_ARITHMETIC = 4
    ATOMIC_ACCESSES = 5
    ACCESSES_0 = 6
    ACCESSES_OTHER = 7
    WIDEST_CALLEE = 8
    TAIL_CALLS = 9
    CATCHING_BLOCKS = 10
    CALL_COUNT = 11


FACT_COUNT = len(Fact)


UNCONDITIONAL = 1 << 31
"""Added to the index of a called function where the call is reached whenever its function returns: no branch leads
past it, as far as that is easy to see. What lies behind a `br_table` or a `return` counts as not reached."""
CALLEE_MASK = UNCONDITIONAL - 1


class FunctionFacts:
    """The facts of a module's own functions, by their position among them.

    Attributes:
        rows: `FACT_COUNT` numbers for each function; empty until validation has collected them.
        calls: what each function calls directly, in the order of its code: indices of functions, imports first, with
            `UNCONDITIONAL` added or not.
        first_calls: where the calls of each function begin in `calls`; one more at the end.
    """

    __slots__ = ("calls", "first_calls", "rows")

    def __init__(self) -> None:
        self.rows: array[int] = array("I")
        self.calls: array[int] = array("I")
        self.first_calls: array[int] = array("Q")

    def is_known(self, position: int) -> bool:
        """Whether the facts of a function are there."""
        return bool(self.rows) and self.rows[position * FACT_COUNT + Fact.KNOWN] == 1

    def get(self, position: int, fact: Fact) -> int:
        """A fact of a function whose facts are known."""
        return self.rows[position * FACT_COUNT + fact]

    def direct_calls(self, position: int) -> array[int]:
        """What a function whose facts are known calls directly, as in `calls`."""
        return self.calls[self.first_calls[position] : self.first_calls[position + 1]]
