"""What the functions of one lowering share: module, layout, options, and signatures in LLVM's words."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum

from farcall.engine.abi.calls import calling_convention, result_type
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.abi.objects import StructLayout, struct_layout
from farcall.engine.binary.function_facts import function_facts
from farcall.engine.errors import ExhaustionError
from farcall.engine.instructions.control import TAIL_CALL_RULES
from farcall.engine.instructions.table import INSTRUCTIONS
from farcall.engine.structure.defined_types import DefinedType
from farcall.engine.structure.function_facts import FACT_COUNT, Fact
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import ExternKind, FunctionType


class Tier(Enum):
    """How code finds the functions of its own module, and whether it counts."""

    WHOLE = "whole"
    """All the module's code is linked to one image: every call is direct."""
    FAST = "fast"
    """Code that others will replace: every call goes through the code table, calls and turns of loops are counted."""
    OPTIMIZED = "optimized"
    """Calls are direct among the functions that are lowered together, and go through the code table to others."""


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """What the code is to do beside running the guest.

    Attributes:
        tier: how it finds the module's functions.
        ensure_termination: loops, and functions that call, look for a request to stop.
        listeners: every function reports its calls and returns to the runtime.
        capabilities: what the machine has that templates can make use of (see `Instruction.operation`). Code
            without any runs everywhere.
    """

    ensure_termination: bool
    listeners: bool
    capabilities: frozenset[str] = frozenset()
    tier: Tier = Tier.WHOLE


_NAMED_RESULTS = 16
"""Where there are more, their structure has a name: written out at each use, a thousand results would take 5 KB."""

CARRIED_LIMIT = 2_000_000
"""Of values that the branches and calls of one function carry, each counted. Two bytes of code can carry a thousand,
and every one is text, and an operand for LLVM: without a limit, a small module could take all memory. Compilers come
nowhere near.
"""

_MANY = 16
"""What branches and calls that carry more carry counts for the whole module, with the same limit."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function type in LLVM's words.

    Attributes:
        convention: see `abi.calls.calling_convention`.
        result: `void`, a type, or a structure of several, which may have a name.
    """

    type: FunctionType
    convention: str
    result: str
    parameters: tuple[str, ...]


_TAIL_CALL_OPCODES = tuple(bytes([row.opcode]) for row in INSTRUCTIONS if row.rule in TAIL_CALL_RULES)


def makes_tail_calls(module: Module, position: int) -> bool:
    """Whether the module's `position`th function makes tail calls, and so has a tail entry."""
    if module.facts.is_known(position):
        return bool(module.facts.get(position, Fact.TAIL_CALLS))
    body = module.functions[position]
    if all(module.source.find(opcode, body.start, body.end) < 0 for opcode in _TAIL_CALL_OPCODES):
        return False
    return bool(function_facts(module, position).counts[Fact.TAIL_CALLS])


def tail_calling(module: Module) -> frozenset[int]:
    """The functions of a module that make tail calls."""
    first, rows = module.imported_function_count, module.facts.rows
    if rows and all(rows[Fact.KNOWN :: FACT_COUNT]) and not any(rows[Fact.TAIL_CALLS :: FACT_COUNT]):
        return frozenset()
    positions = range(len(module.functions))
    return frozenset(first + position for position in positions if makes_tail_calls(module, position))


@dataclass(slots=True)
class ModuleContext:
    """What the lowering of a function needs to know of its module.

    Attributes:
        imported_tables: how many tables are imported.
        signatures: by type index; made when first asked for; likewise `struct_layouts`, and `type_indices` by type.
        called: functions of the module that lowered code calls directly.
        tail_called: functions of the module for whose tail entries lowered code leaves.
        named: definitions of structures that have names, by type index.
        carried: values that branches and calls with many of them carry.
        checking: functions known to check for a request to stop when they are entered.
        together: the functions that are lowered together, for calls among them; None where that is all.
    """

    module: Module
    layout: ContextLayout
    options: LoweringOptions
    imported_tables: int = field(init=False)
    signatures: dict[int, Signature] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    carried: int = 0
    struct_layouts: dict[int, StructLayout] = field(default_factory=dict)
    type_indices: dict[DefinedType, int] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    tail_called: set[int] = field(default_factory=set)
    checking: set[int] = field(default_factory=set)
    together: AbstractSet[int] | None = None
    _tail_entries: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.imported_tables = len(self.module.imported(ExternKind.TABLE))

    def calls_directly(self, index: int) -> bool:
        """Whether function `index`, which the module defines, is called by its symbol."""
        return self.together is None or index in self.together

    def has_tail_entry(self, index: int) -> bool:
        """Whether function `index`, which the module defines, makes tail calls."""
        found = self._tail_entries.get(index)
        if found is None:
            found = self._tail_entries[index] = makes_tail_calls(
                self.module, index - self.module.imported_function_count
            )
        return found

    def struct_layout(self, type_index: int) -> StructLayout:
        """Where the fields of structure type `type_index` lie."""
        found = self.struct_layouts.get(type_index)
        if found is None:
            found = self.struct_layouts[type_index] = struct_layout(self.module.defined_types[type_index])
        return found

    def type_index(self, defined: DefinedType) -> int:
        """An index of a type of the module."""
        if not self.type_indices:
            self.type_indices = {each: index for index, each in enumerate(self.module.defined_types)}
        return self.type_indices[defined]

    def signature(self, type_index: int) -> Signature:
        """The signature of function type `type_index`."""
        found = self.signatures.get(type_index)
        if found is None:
            function_type = self.module.signature(type_index)
            result = result_type(function_type.results)
            if len(function_type.results) > _NAMED_RESULTS:
                self.named[type_index] = f"%results{type_index} = type {result}"
                result = f"%results{type_index}"
            convention = calling_convention(function_type.results)
            parameters = tuple(value.llvm for value in function_type.parameters)
            found = self.signatures[type_index] = Signature(function_type, convention, result, parameters)
        return found

    def carry(self, count: int, before: int, function_index: int) -> int:
        """A branch or call carries `count` values; how many its function has carried, `before` being those until now.

        Raises:
            ExhaustionError: they are too many for the function, or for the module.
        """
        if count > _MANY:
            self.carried += count
        if before + count > CARRIED_LIMIT or self.carried > CARRIED_LIMIT:
            raise ExhaustionError(
                f"function {function_index} is too complex to compile: its branches and calls, or all"
                f" that carry many values in the module, carry more than {CARRIED_LIMIT}"
            )
        return before + count
