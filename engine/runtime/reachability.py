"""What the open members of a linked group, or of a store, can reach: the others are released, and values forgotten."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from farcall.engine.abi.objects import HOST_SHIFT, HOST_TAG, TAG_MASK
from farcall.engine.runtime.exception_arena import ExceptionArena
from farcall.engine.runtime.linked_group import LinkedGroup, Member
from farcall.engine.runtime.module_engine import NativeModuleEngine


def unneeded(group: LinkedGroup) -> list[Member]:
    """The group's closed members that no open one can reach, through imports or through funcrefs that it holds.

    The group's lock is held, and no guest of it runs: all references are in tables and globals.
    """
    sources = sorted(
        (member for member in group.members if isinstance(member, NativeModuleEngine)),
        key=lambda member: member.context,
    )
    contexts = [member.context for member in sources]
    reached: set[Member] = set()
    pending = [member for member in group.members if not member.closed]
    if group.heap is not None:
        # Whatever object holds a function may be reached by an open member: more is kept than must be.
        pending += _owners(sources, contexts, group.heap.collect(functions=True).functions)
    if group.exceptions is not None:
        pending += _owners(sources, contexts, group.exceptions.held_references("func"))
    while pending:
        member = pending.pop()
        if member in reached:
            continue
        reached.add(member)
        pending.extend(member.needs)
        pending += _owners(sources, contexts, member.held_references("func"))
    return [member for member in group.members if member not in reached]


def _owners(
    sources: list[NativeModuleEngine], contexts: list[int], references: Iterable[int]
) -> Iterator[Member]:
    """The members whose functions these are; `sources` is sorted by `contexts`."""
    for reference in references:
        position = bisect_right(contexts, reference) - 1
        if position >= 0 and sources[position].owns(reference):
            yield sources[position]


def _handles(holder: Member | ExceptionArena) -> set[int]:
    """The handles of the embedder's values that somebody holds."""
    references = holder.held_references("extern") | holder.held_references("any")
    return {word >> HOST_SHIFT for word in references if word & TAG_MASK == HOST_TAG}


def held(all_members: Callable[[], set[Member]], handle_count: int) -> tuple[set[int], set[int]] | None:
    """What the tables, globals and objects of a store hold: handles of host values, and funcrefs.

    None if that cannot be told, because an instance is in use.

    Parameters:
        all_members: gives the store's members, as of now.
        handle_count: how many handles there are.
    """
    members = all_members()
    groups: list[LinkedGroup] = []
    try:
        for group in {member.group for member in members}:
            if not group.lock.acquire(blocking=False):
                return None
            groups.append(group)
            if group.targets:
                return None
        if all_members() != members or any(member.group not in groups for member in members):
            return None
        handles: set[int] = set()
        functions: set[int] = set()
        for member in members:
            handles |= _handles(member)
            functions |= member.held_references("func")
        for group in groups:
            if group.exceptions is not None:
                handles |= _handles(group.exceptions)
                functions |= group.exceptions.held_references("func")
            if group.heap is not None:
                found = group.heap.collect(handle_count=handle_count, functions=True)
                handles |= found.handles
                functions |= found.functions
        return handles, functions
    finally:
        for group in groups:
            group.lock.release()
