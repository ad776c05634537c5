"""Lists of types that are compared again and again.

An instruction of two bytes can take a thousand operands. Where they are not of the very types that are wanted, but of
subtypes of them, each would have to be looked at, time after time. So what was found out is kept: lists by identity, in
a bounded number, and pairs of types.
"""

from __future__ import annotations

from collections.abc import Iterable

from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.types import ValueType

UNKNOWN = ValueType("an unknown type", 0, 0, "")
"""The type of an operand that unreachable code has taken from nowhere: it fits everywhere."""

Types = tuple[ValueType, ...]

_MOST_OPERAND_LISTS = 8
_MOST_PAIRS = 10_000


def operand_fits(found: ValueType, expected: ValueType) -> bool:
    """Whether an operand of one type can stand where another is wanted."""
    return found is UNKNOWN or value_matches(found, expected)


class _OperandList:
    """Types of operands that were on the stack, and the lists that they match, by identity."""

    __slots__ = ("matched", "types")

    def __init__(self, types: Types) -> None:
        self.types = types
        self.matched: dict[int, Types] = {}


class TypeLists:
    """What is known of the type lists of a module's functions, blocks and structures."""

    __slots__ = ("_extended", "_matched", "_operand_lists", "_pairs", "_shortened")

    def __init__(self) -> None:
        self._operand_lists: dict[int, _OperandList] = {}  # by their length
        # These hold the lists, too, so that no other list gets the identity.
        self._matched: dict[tuple[int, int], tuple[Types, Types]] = {}
        self._shortened: dict[int, tuple[Types, Types]] = {}
        self._extended: dict[tuple[int, ValueType], tuple[Types, Types]] = {}
        self._pairs: set[tuple[ValueType, ValueType]] = set()

    def match(self, found: Types, expected: Types) -> bool:
        """Whether one list matches another (section 3.3.6); both live as long as the module."""
        if len(found) != len(expected):
            return False
        key = id(found), id(expected)
        if found == expected or key in self._matched:
            return True
        if not self._pairs_match(found, expected):
            return False
        if len(self._matched) >= _MOST_PAIRS:
            self._matched.clear()
        self._matched[key] = found, expected
        return True

    def operands_match(self, found: Types, expected: Types) -> bool:
        """Whether operands of these types can be the last of those that are wanted.

        Parameters:
            found: their types, in a list that was made for this.
            expected: a list that lives as long as the module, and is not shorter.
        """
        known = self._operand_lists.get(len(found))
        if known is None or known.types != found:
            if len(self._operand_lists) >= _MOST_OPERAND_LISTS:
                self._operand_lists.clear()
            known = self._operand_lists[len(found)] = _OperandList(found)
        if id(expected) in known.matched:
            return True
        last = expected[len(expected) - len(found) :]
        if found != last and not self._pairs_match(found, last):
            return False
        if len(known.matched) >= _MOST_PAIRS:
            known.matched.clear()
        known.matched[id(expected)] = expected
        return True

    def _pairs_match(self, found: Types, expected: Types) -> bool:
        if self._pairs.issuperset(zip(found, expected, strict=True)):
            return True
        unknown: Iterable[tuple[ValueType, ValueType]] = set(zip(found, expected, strict=True)) - self._pairs
        if not all(operand_fits(*pair) for pair in unknown):
            return False
        if len(self._pairs) >= _MOST_PAIRS:
            self._pairs.clear()
        self._pairs.update(unknown)
        return True

    def without_last(self, types: Types) -> Types:
        """The list without its last type: the same one each time."""
        known = self._shortened.get(id(types))
        if known is None:
            known = self._shortened[id(types)] = types, types[:-1]
        return known[1]

    def extended(self, types: Types, last: ValueType) -> Types:
        """The list with one type more: the same one each time."""
        known = self._extended.get((id(types), last))
        if known is None:
            known = self._extended[id(types), last] = types, (*types, last)
        return known[1]
