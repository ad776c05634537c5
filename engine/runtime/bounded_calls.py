"""Calls that an embedder can make where it must not wait: of functions that are certain to end soon."""

from __future__ import annotations

from farcall.engine.binary.bounded_functions import is_bounded
from farcall.engine.binary.function_facts import function_facts
from farcall.engine.runtime.function import Function
from farcall.engine.runtime.linked_group import Member
from farcall.engine.runtime.module_engine import NativeModuleEngine


def ends_soon(function: Function) -> bool:
    """Whether a function ends within a thousand instructions, whatever it is called with; costs decoding it."""
    home = function.home
    return isinstance(home, NativeModuleEngine) and is_bounded(home.module, function.index)


def is_compiled(function: Function) -> bool:
    """Whether a function that ends soon, and all that it may call, have code, so that calling it waits for none."""
    home = function.home
    if not isinstance(home, NativeModuleEngine):
        return True
    first, seen, found = home.module.imported_function_count, {function.index}, [function.index]
    while found:
        index = found.pop()
        if not home.is_compiled(index):
            return False
        callees = set(function_facts(home.module, index - first).callees) - seen
        seen |= callees
        found += callees
    return True


def try_turn(member: Member) -> bool:
    """Take the turn in the linked group of a function's, memory's, table's or global's owner, if it is free.

    This thread can then call and access what the group has without waiting, until `end_turn`.
    """
    group = member.group
    if not group.lock.acquire(blocking=False):
        return False
    if member.group is group:
        return True
    group.lock.release()
    return False


def end_turn(member: Member) -> None:
    """Give back the turn that `try_turn` took."""
    member.group.lock.release()
