"""All function bodies of a module, in as many threads as pay."""

from __future__ import annotations

import ctypes
from array import array
from bisect import bisect_left
from itertools import accumulate, pairwise

from farcall.engine.binary.body_routines import BODY_WORDS
from farcall.engine.parallel import run_parts, thread_count
from farcall.engine.structure.function_facts import FACT_COUNT, Fact
from farcall.engine.structure.module import Module
from farcall.engine.validation.module_context import ModuleContext
from farcall.engine.validation.native.body_routine import VALIDATION, validate_bodies
from farcall.engine.validation.native.layout import SCRATCH_BYTES
from farcall.engine.validation.native.tables import Context

SMALLEST_CODE = 100_000
"""Bytes of code from which on it pays to compile the routine first, if that has not been done."""

SMALLEST_PREPARED = 4_000
"""The same, once it is compiled: it takes tables of the module."""

BYTES_PER_THREAD = 1 << 20


def undecided_bodies(context: ModuleContext) -> list[int]:
    """Validate the functions of a module, and return the positions of those that are left for Python to decide.

    What was found out about the others is in `Module.facts` afterwards.
    """
    module = context.module
    functions = module.functions
    code = functions.code_bytes
    if not code or code < (SMALLEST_PREPARED if VALIDATION.is_there else SMALLEST_CODE):
        return list(range(len(functions)))
    tables = Context(context)
    validate = VALIDATION.function(validate_bodies)
    ranges = _ranges(module, thread_count(code // BYTES_PER_THREAD + 1))
    calls: list[array[int] | None] = [None] * len(ranges)

    def run(position: int) -> None:
        first, last = ranges[position]
        scratch = ctypes.create_string_buffer(SCRATCH_BYTES)
        room = (ctypes.c_uint32 * (functions.bytes_between(first, last) // 2 + 1))()
        validate(tables.address, ctypes.addressof(scratch), first, last, ctypes.addressof(room))
        rows = tables.facts[first * FACT_COUNT : last * FACT_COUNT]
        calls[position] = array("I", memoryview(room)[: sum(rows[Fact.CALL_COUNT :: FACT_COUNT])].tobytes())

    run_parts(len(ranges), run)
    facts = module.facts
    for found in calls:
        if found is None:  # a thread had not the memory that it needed
            facts.calls = array("I")
            return list(range(len(functions)))
        facts.calls.extend(found)
    facts.rows = tables.facts
    facts.first_calls = array("Q", accumulate(facts.rows[Fact.CALL_COUNT :: FACT_COUNT], initial=0))
    known = facts.rows[Fact.KNOWN :: FACT_COUNT]
    return [position for position, value in enumerate(known) if not value]


def _ranges(module: Module, count: int) -> list[tuple[int, int]]:
    """All functions in so many ranges, first and last position, with about as much code each."""
    functions = module.functions
    starts = functions.located[::BODY_WORDS]
    share = functions.code_bytes // count + 1
    wanted = [starts[0] + share * position for position in range(1, count)]
    bounds = sorted({0, len(functions), *[bisect_left(starts, place) for place in wanted]})
    return list(pairwise(bounds))
