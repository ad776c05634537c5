"""Function bodies: one pass over the bytes, row by row (section 3.4.1 and appendix, section 7.3)."""

from __future__ import annotations

from functools import cache
from typing import Any

from farcall.engine.binary.body_syntax import check_body_syntax
from farcall.engine.binary.features import gated
from farcall.engine.binary.instructions import READERS, ImmediateReader, read_prefixed_opcode
from farcall.engine.binary.leb128 import read_s32, read_s64, read_u32
from farcall.engine.errors import EngineBug, InvalidModuleError, ModuleError, ModuleLimitError
from farcall.engine.instructions.instruction import Features, Instruction
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.structure.module import FunctionBody
from farcall.engine.structure.types import ValueType
from farcall.engine.validation.control_rules import Rule
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.memory_rules import signature_only
from farcall.engine.validation.rejection import LimitReached, Rejection
from farcall.engine.validation.rules import RULES

_INTEGERS = frozenset({read_u32, read_s32, read_s64})

_Step = tuple[
    Instruction, ImmediateReader | None, bool, Rule | None, tuple[ValueType, ...], tuple[ValueType, ...]
]
"""How one instruction is checked: its row; what reads its immediates, if any; whether that is one integer;
its rule, unless the signature says all; the operands it pops, top first; and what it pushes."""


def _read_several(readers: tuple[ImmediateReader, ...]) -> ImmediateReader:
    def read(source: bytes, position: int) -> tuple[tuple[Any, ...], int]:
        values = []
        for read_one in readers:
            value, position = read_one(source, position)
            values.append(value)
        return tuple(values), position

    return read


def _step(row: Instruction, disabled: Features) -> _Step:
    readers = tuple(gated(READERS[immediate], disabled) for immediate in row.immediates)
    reader = None if not readers else readers[0] if len(readers) == 1 else _read_several(readers)
    rule = None if row.rule is None else RULES[row.rule]
    if rule is signature_only:
        rule = None
    # The signature of rows without a rule is all of them: nothing more to check. The rule of
    # accesses pops their operands itself.
    popped = tuple(reversed(row.parameters)) if row.access is None else ()
    return row, reader, reader in _INTEGERS, rule, popped, row.results


@cache
def _all_steps(disabled: Features) -> tuple[list[_Step | None], dict[str, _Step]]:
    """How the instructions of all features but the disabled ones are checked: by opcode, and by name for prefixed ones.

    What is not there stops validation, and `check_body_syntax` says why.
    """
    by_opcode: list[_Step | None] = [None] * 256
    prefixed: dict[str, _Step] = {}
    for row in INSTRUCTIONS:
        if row.feature in disabled or row.also in disabled:
            continue
        if row.prefix is None:
            by_opcode[row.opcode] = _step(row, disabled)
        else:
            prefixed[row.name] = _step(row, disabled)
    return by_opcode, prefixed


def validate_body(state: FunctionValidator, body: FunctionBody) -> None:  # noqa: PLR0912 - the hot loop
    """Validate a function.

    Raises:
        InvalidModuleError: it is invalid.
        MalformedModuleError: its bytes are no instructions.
        UnsupportedFeatureError: it has instructions of a feature that is not there or switched off.
    """
    state.enter(body)
    source = state.context.module.source
    disabled = state.context.disabled
    steps, prefixed_steps = _all_steps(disabled)
    controls = state.controls
    operands = state.operands
    pop = operands.pop
    position = body.start
    row: Instruction | None = None
    try:
        while controls:
            offset = position
            step = steps[source[position]]
            if step is None:
                row, position = read_prefixed_opcode(source, position)
                step = prefixed_steps[row.name]
            else:
                position += 1
            row, read, is_integer, rule, popped, pushed = step
            if read is None:
                if rule is not None:
                    rule(state, row, None)
            else:
                immediate = source[position]
                if immediate < 0x80 and is_integer:
                    # The integer in one byte. Constants have a sign, but their values do not matter here.
                    position += 1
                else:
                    immediate, position = read(source, position)
                if rule is not None:
                    rule(state, row, immediate)
            for expected in popped:
                found = pop()
                if found is not expected:
                    state.accept(found, expected)
            if pushed:
                operands += pushed
    except (LookupError, ModuleError) as error:
        # The bytes are no instructions, or of a disabled feature, or they are no longer this function's.
        check_body_syntax(source, body, state.context.module.data_count, disabled)
        raise EngineBug(f"validation stopped at byte {position:#x}, where nothing is malformed") from error
    except Rejection as rejection:
        reason = rejection.explain("the end" if row is None else row.name)
        kind = ModuleLimitError if isinstance(rejection, LimitReached) else InvalidModuleError
        raise kind(reason, offset, body.index) from None
    if position != body.end:
        check_body_syntax(source, body, state.context.module.data_count, disabled)
