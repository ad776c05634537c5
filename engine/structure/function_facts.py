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


class FunctionFacts:
    """The facts of a module's own functions, by their position among them.

    Attributes:
        rows: `FACT_COUNT` numbers for each function; empty until validation has collected them.
        callees: what each function calls directly, in the order of its code: indices of functions, imports first.
        first_callees: where the callees of each function begin in `callees`; one more at the end.
    """

    __slots__ = ("callees", "first_callees", "rows")

    def __init__(self) -> None:
        self.rows: array[int] = array("I")
        self.callees: array[int] = array("I")
        self.first_callees: array[int] = array("Q")

    def is_known(self, position: int) -> bool:
        """Whether the facts of a function are there."""
        return bool(self.rows) and self.rows[position * FACT_COUNT + Fact.KNOWN] == 1

    def get(self, position: int, fact: Fact) -> int:
        """A fact of a function whose facts are known."""
        return self.rows[position * FACT_COUNT + fact]

    def direct_callees(self, position: int) -> array[int]:
        """The functions that one whose facts are known calls directly, as often as it does."""
        return self.callees[self.first_callees[position] : self.first_callees[position + 1]]
