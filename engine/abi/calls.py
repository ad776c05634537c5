"""How guest functions call each other.

Beside the ordinary convention there is one for tail calls, in which the callee takes its caller's place on the stack. A
function that makes tail calls has a body in that convention, its *tail entry*, and an ordinary one that calls it. A
function that makes none has no tail entry and needs none: called as the last thing that its caller does, it cannot
make the stack grow without end, since all it can do is return.

A tail entry takes all that it is given in registers, on every target: then its caller's frame is as good as its own,
and backtraces find return addresses where they look for them. What registers do not take lies in the *block*, which
the ordinary function at the beginning of a chain of tail calls has on its frame and of which all in the chain are given
the address. A callee that needs a larger one than the chain has is called in the ordinary way, and so begins a chain
with a larger one: that cannot go on for long, since sizes are powers of two.
"""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.structure.types import ValueType

TAIL_CONVENTION = "tailcc"
"""LLVM's calling convention of tail entries; the first parameter is the instance's context."""

REGISTER_RESULTS = 2
"""Of so many results each target returns any in registers; a tail entry with more leaves all in the block."""

REGISTER_INTEGERS = 4
"""How many integers and references a tail entry takes in registers, beside the context and the block's address."""
REGISTER_FLOATS = 8
"""How many floats and vectors it takes in registers."""

BLOCK_CAPACITY = 0
"""In a block: how many bytes of values it has room for (i64)."""
BLOCK_VALUES = 16
BLOCK_STRIDE = 16
"""Bytes from one value in it to the next."""

_SMALLEST_BLOCK = 128
_IN_INTEGER_REGISTERS = frozenset({"i32", "i64", "ptr"})


def calling_convention(results: Sequence[ValueType]) -> str:
    """LLVM's calling convention of a guest function, to stand before its result's type.

    The first parameter is the instance's context. The convention is C's, which FastISel knows, but where C would return
    floats on the stack of the x87, which makes signaling NaNs quiet: up to `REGISTER_RESULTS` it never does.
    """
    return "" if len(results) <= REGISTER_RESULTS else "fastcc "


def in_registers(parameters: Sequence[str]) -> list[bool]:
    """Which parameters, of these LLVM types, a tail entry takes in registers; the others lie in the block."""
    integers, floats = REGISTER_INTEGERS, REGISTER_FLOATS
    places = []
    for llvm in parameters:
        if llvm in _IN_INTEGER_REGISTERS:
            places.append(integers > 0)
            integers -= 1
        else:
            places.append(floats > 0)
            floats -= 1
    return places


def block_need(parameters: Sequence[str]) -> int:
    """Bytes of values that a call with these parameters puts into the block."""
    return BLOCK_STRIDE * in_registers(parameters).count(False)


def block_capacity(parameters: Sequence[str], results: Sequence[ValueType]) -> int:
    """The capacity of the block with which an ordinary function of such a type begins a chain."""
    need = max(block_need(parameters), BLOCK_STRIDE * len(results), _SMALLEST_BLOCK)
    return 1 << (need - 1).bit_length()


def symbol(index: int) -> str:
    """The name of function `index` in objects and images."""
    return f"f{index}"


def tail_symbol(index: int) -> str:
    """The name of function `index`'s tail entry."""
    return f"t{index}"


def result_type(results: Sequence[ValueType]) -> str:
    """LLVM's return type for these results: void, the one type, or a structure of all."""
    if not results:
        return "void"
    if len(results) == 1:
        return results[0].llvm
    return "{" + ", ".join(value_type.llvm for value_type in results) + "}"


def tail_result_type(results: Sequence[ValueType]) -> str:
    """LLVM's return type of a tail entry with these results."""
    return "void" if len(results) > REGISTER_RESULTS else result_type(results)
