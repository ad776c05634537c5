"""The operand stack of the validation algorithm, as routines (appendix, section 7.3).

`top` is the address after the topmost operand, a byte with its type's number; `base` is that of the innermost block's
first. Routines return the new top, or 0 where Python has to decide; of 0, they make 0. Below the base of unreachable
code there are as many operands of any type as are wanted.
"""

from __future__ import annotations

from farcall.engine.routines import routine, set_u8, u8, u32
from farcall.engine.validation.native.layout import TypeId


@routine
def pop(top: int, base: int, unreachable: int, expected: int, matches: int) -> int:
    """Take an operand of a type off the stack."""
    if top <= base:
        return top if unreachable else 0
    found = u8(top - 1)
    if found == expected or (u32(matches + 4 * found) >> expected) & 1:
        return top - 1
    return 0


@routine
def pop_any(top: int, base: int, unreachable: int) -> int:
    """Take an operand of any type off the stack."""
    if top <= base:
        return top if unreachable else 0
    return top - 1


@routine
def pop_all(top: int, base: int, unreachable: int, types: int, count: int, matches: int) -> int:
    """Take operands of several types off the stack, the last of which is on top."""
    while count > 0:
        count -= 1
        top = pop(top, base, unreachable, u8(types + count), matches)
    return top


@routine
def pop_sequence(top: int, base: int, unreachable: int, types: int, count: int, matches: int) -> int:
    """Take operands off the stack whose types stand in the order of taking."""
    while count > 0:
        top = pop(top, base, unreachable, u8(types), matches)
        types += 1
        count -= 1
    return top


@routine
def pop_three(
    top: int, base: int, unreachable: int, first: int, second: int, third: int, matches: int
) -> int:
    """Take three operands off the stack, the first of which is on top."""
    top = pop(top, base, unreachable, first, matches)
    top = pop(top, base, unreachable, second, matches)
    return pop(top, base, unreachable, third, matches)


@routine
def push(top: int, limit: int, pushed: int) -> int:
    """Put an operand of a type on the stack."""
    if top == 0 or top >= limit or pushed == TypeId.OTHER:
        return 0
    set_u8(top, pushed)
    return top + 1


@routine
def push_all(top: int, limit: int, types: int, count: int) -> int:
    """Put operands of several types on the stack."""
    if top == 0 or count > limit - top:
        return 0
    while count > 0:
        pushed = u8(types)
        if pushed == TypeId.OTHER:
            return 0
        set_u8(top, pushed)
        top += 1
        types += 1
        count -= 1
    return top


@routine
def all_match(found: int, expected: int, count: int, matches: int) -> int:
    """Whether each of some types is one of others or below it, which is certain."""
    while count > 0:
        if not (u32(matches + 4 * u8(found)) >> u8(expected)) & 1:
            return 0
        found += 1
        expected += 1
        count -= 1
    return 1
