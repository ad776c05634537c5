"""What the functions of one lowering share: module, layout, options, and signatures in LLVM's words."""

from __future__ import annotations

from dataclasses import dataclass, field

from farcall.engine.abi.calls import result_type
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import ExternKind, FunctionType


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """What the code is to do beside running the guest.

    Attributes:
        ensure_termination: loops, and functions that call, look for a request to stop.
        listeners: every function reports its calls and returns to the runtime.
        capabilities: what the machine has that templates can make use of (see `Instruction.operation`). Code
            without any runs everywhere.
    """

    ensure_termination: bool
    listeners: bool
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Signature:
    """A function type in LLVM's words; `result` is `void`, a type, or a structure of several."""

    type: FunctionType
    result: str
    parameters: tuple[str, ...]


def signature(function_type: FunctionType) -> Signature:
    """The signature of guest functions of a type, without the `%vmctx` that goes before the parameters."""
    parameters = tuple(value.llvm for value in function_type.parameters)
    return Signature(function_type, result_type(function_type.results), parameters)


@dataclass(slots=True)
class ModuleContext:
    """What the lowering of a function needs to know of its module.

    Attributes:
        imported_tables: how many tables are imported.
        signatures: by type index; made when first asked for.
        called: functions of the module that lowered code calls directly.
        checking: functions known to check for a request to stop when they are entered.
    """

    module: Module
    layout: ContextLayout
    options: LoweringOptions
    imported_tables: int = field(init=False)
    signatures: dict[int, Signature] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    checking: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.imported_tables = len(self.module.imported(ExternKind.TABLE))

    def signature(self, type_index: int) -> Signature:
        """The signature of function type `type_index`."""
        found = self.signatures.get(type_index)
        if found is None:
            found = self.signatures[type_index] = signature(self.module.types[type_index])
        return found
