"""What a row of the instruction table is made of."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from farcall.engine.structure.types import ValueType


class Feature(Enum):
    """A named feature of WebAssembly; the value is the name that options and errors use.

    All but `CORE`, the first version, can be switched off (see `binary.features`).
    """

    CORE = "core"
    SIGN_EXTENSION = "sign-extension"
    SATURATING_CONVERSION = "saturating-float-to-int"
    MUTABLE_GLOBALS = "mutable-globals"
    MULTI_VALUE = "multi-value"
    BULK_MEMORY = "bulk-memory"
    REFERENCE_TYPES = "reference-types"
    SIMD = "simd"
    RELAXED_SIMD = "relaxed-simd"
    EXTENDED_CONST = "extended-const"
    MULTI_MEMORY = "multi-memory"
    MEMORY64 = "memory64"
    TAIL_CALL = "tail-call"
    FUNCTION_REFERENCES = "function-references"
    GC = "gc"
    EXCEPTION_HANDLING = "exception-handling"
    LEGACY_EXCEPTIONS = "legacy-exceptions"
    THREADS = "threads"
    CUSTOM_PAGE_SIZES = "custom-page-sizes"
    WIDE_ARITHMETIC = "wide-arithmetic"
    CUSTOM_DESCRIPTORS = "custom-descriptors"


IMPLEMENTED: frozenset[Feature] = frozenset(
    {
        Feature.SIGN_EXTENSION,
        Feature.SATURATING_CONVERSION,
        Feature.MUTABLE_GLOBALS,
        Feature.MULTI_VALUE,
        Feature.BULK_MEMORY,
        Feature.REFERENCE_TYPES,
        Feature.SIMD,
        Feature.RELAXED_SIMD,
        Feature.EXTENDED_CONST,
        Feature.MULTI_MEMORY,
        Feature.MEMORY64,
        Feature.THREADS,
        Feature.CUSTOM_PAGE_SIZES,
        Feature.WIDE_ARITHMETIC,
        Feature.TAIL_CALL,
        Feature.EXCEPTION_HANDLING,
        Feature.LEGACY_EXCEPTIONS,
        Feature.FUNCTION_REFERENCES,
        Feature.GC,
        Feature.CUSTOM_DESCRIPTORS,
    }
)
"""What there is beyond the first version; on unless switched off. No row is of a feature that is not here."""

Features = frozenset[Feature]
"""Those that are switched off, wherever a parameter or attribute is called `disabled`."""

NONE_DISABLED: Features = frozenset()


def features_named(names: Iterable[str]) -> Features:
    """The features of these names.

    Raises:
        ValueError: a feature of that name does not exist, or cannot be switched off.
    """
    by_name = {feature.value: feature for feature in Feature if feature is not Feature.CORE}
    chosen = set()
    for name in names:
        if name not in by_name:
            raise ValueError(
                f"there is no feature {name!r} to switch off; there are: {', '.join(sorted(by_name))}"
            )
        chosen.add(by_name[name])
    return frozenset(chosen)


class Immediate(Enum):
    """How an immediate is encoded (section 5.4)."""

    BLOCK_TYPE = auto()
    LABEL = auto()
    LABELS = auto()
    FUNCTION = auto()
    TYPE = auto()
    TABLE = auto()
    LOCAL = auto()
    GLOBAL = auto()
    ELEMENT_SEGMENT = auto()
    DATA_SEGMENT = auto()
    MEMORY = auto()
    MEMORY_ACCESS = auto()
    VALUE_TYPES = auto()
    HEAP_TYPE = auto()
    TAG = auto()
    CATCHES = auto()
    FIELD = auto()
    ARRAY_LENGTH = auto()
    CAST_FLAGS = auto()
    SIGNED_32 = auto()
    SIGNED_64 = auto()
    FLOAT_32 = auto()
    FLOAT_64 = auto()
    VECTOR = auto()
    LANE = auto()
    LANES = auto()
    ZERO_BYTE = auto()


class Catch(NamedTuple):
    """A catch clause. There can be millions of them.

    Attributes:
        tag: which exceptions it catches; None is any.
        label: where it branches to.
        reference: whether the branch carries the exception itself, after its values.
    """

    tag: int | None
    label: int
    reference: bool


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """How a load or store touches memory.

    Attributes:
        llvm: LLVM's type of what lies in memory.
        size: bytes touched; the natural alignment.
        extension: LLVM's instruction from memory type to value type on loads (`sext`, `zext`), or None.
        operation: LLVM's name of what an atomic read-modify-write access does, or None.
    """

    llvm: str
    size: int
    extension: str | None = None
    operation: str | None = None


Emit = Callable[[str, str, str, str], str]
"""From (result name without %, first, second, third operand) to lines of LLVM IR."""

_TRAP = re.compile(r"%trap\.(\w+)")
_BLOCK = re.compile(r"^\{n\}\.(\w+):", re.MULTILINE)


@functools.cache
def _compile_template(template: str) -> Emit:
    """Turn a template into an f-string function: three times faster than `str.format`, as measured.

    That takes 0.1 ms, so it is done with what is used: a process that compiles a few functions uses a few.
    """
    body = f'lambda n, a, b, c: f"""{template}"""'
    emit: Emit = eval(body, {})
    return emit


@dataclass(frozen=True, slots=True)
class Instruction:
    """A row: one instruction.

    Either `template` says how it is lowered (then it has no immediates, and its stack signature says all that
    validation needs), or `rule` names the function that treats it, one in the validator and one in the lowering.
    With both, the rule says what comes into the template, and what becomes of its result.

    Attributes:
        name: the text format's name.
        prefix: the prefix byte, or None for one-byte opcodes.
        opcode: the opcode's byte, or the number after the prefix.
        immediates: encodings of the immediates, in order.
        parameters: operand types, the last on top of the stack; where the rule decides, empty.
        results: result types; where the rule decides, empty.
        feature: what must be switched on.
        also: a second feature that must be, where it is of two.
        template: LLVM IR in which {n} stands for the result's name (without %), {a}, {b} and {c} for operands,
            `%trap.<kind>` for the block that leaves with that trap.
        rule: the name of the rule.
        access: for loads and stores. The first of their `parameters` is the address: I64 in memories that have such
            indices, though I32 stands there.
        lanes: for lane indices: how many lanes they choose from.
        native: templates for machines that have something, by its name (an architecture, or a feature of LLVM's
            for it): the first that the machine has goes before `template`.
        emit: the template as a function, where there is no rule.
        operations: all templates, in order, each behind what the machine has to have for it, "" being nothing.
    """

    name: str
    prefix: int | None
    opcode: int
    immediates: tuple[Immediate, ...] = ()
    parameters: tuple[ValueType, ...] = ()
    results: tuple[ValueType, ...] = ()
    feature: Feature = Feature.CORE
    also: Feature = Feature.CORE
    template: str | None = None
    rule: str | None = None
    access: MemoryAccess | None = None
    lanes: int = 0
    native: tuple[tuple[str, str], ...] = ()
    emit: Emit | None = field(init=False, compare=False)
    operations: tuple[tuple[str, str], ...] = field(init=False)
    traps: tuple[str, ...] = field(init=False)
    last_block: str | None = field(init=False)

    def __post_init__(self) -> None:
        if self.template is None and self.rule is None:
            raise ValueError(f"{self.name}: needs a template or a rule")
        if self.native and (self.template is None or self.rule is None):
            raise ValueError(
                f"{self.name}: a rule chooses among templates, the last of which any machine takes"
            )
        template = self.template or ""
        blocks = _BLOCK.findall(template)
        choices = () if self.template is None else (*self.native, ("", self.template))
        object.__setattr__(self, "operations", choices)
        object.__setattr__(self, "emit", self._emit_first if self.rule is None else None)
        object.__setattr__(self, "traps", tuple(sorted(set(_TRAP.findall(template)))))
        object.__setattr__(self, "last_block", blocks[-1] if blocks else None)

    def _emit_first(self, n: str, a: str, b: str, c: str) -> str:
        """What `emit` is until it is called."""
        emit = _compile_template(self.operations[0][1])
        object.__setattr__(self, "emit", emit)
        return emit(n, a, b, c)

    def operation(self, capabilities: frozenset[str]) -> Emit:
        """The template for a machine, as a function.

        Parameters:
            capabilities: the machine's architecture and the features it has, by LLVM's names.
        """
        for needed, template in self.operations:
            if not needed or needed in capabilities:
                return _compile_template(template)
        raise ValueError(f"{self.name} has no template")
