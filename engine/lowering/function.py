"""The state of lowering one function: operand stack, open blocks, and the text made so far.

Operands are pairs of LLVM type and text: the name of an SSA value (`%v7`) or a constant. Locals are stack slots
of the entry block, which LLVM's SROA turns into SSA values; slots are made for locals that the code mentions.
What a local holds is remembered as long as control takes only one way: then reading it needs no code.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from farcall.engine.abi import code_table
from farcall.engine.abi import layout as abi
from farcall.engine.abi.layout import RUNTIME_SIGNATURES, RuntimeFunction
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.context import ModuleContext, Signature, Tier
from farcall.engine.lowering.metadata import INVARIANT, INVARIANT_POINTER
from farcall.engine.structure.module import FunctionBody
from farcall.engine.structure.types import F32, F64, I64, ValueType

Operand = tuple[str, str]
"""LLVM type and text."""

ALIGNMENT: dict[str, int] = {"i32": 4, "i64": 8, "float": 4, "double": 8, "ptr": 8, "<2 x i64>": 8}
"""Of values in the engine's structures. Said explicitly: LLVM parses the text before it knows the target.

A vector's is a slot's: it lies between others, and to be sure of more would gain nothing.
"""

_ZERO: dict[str, str] = {"i32": "0", "i64": "0", "ptr": "null", "<2 x i64>": "zeroinitializer"}


@dataclass(slots=True)
class LegacyTry:
    """What becomes of a `try` of the first version of exception handling.

    Attributes:
        handler: its handler's place.
        header: index of the line in which the handler is to be made.
        following: the handler that is asked after its own.
        delegates: whether that was chosen by a `delegate`.
        tags: what its parts catch, in order; None is any.
        exception: what the present part has caught; None in the body.
        caught_at: index of the line in which that is released, or kept if the part throws it again (`rethrown`).
    """

    handler: str
    header: int
    following: str
    delegates: bool = False
    tags: list[int | None] = field(default_factory=list)
    exception: str | None = None
    caught_at: int = 0
    rethrown: bool = False


@dataclass(slots=True)
class Frame:
    """An open block (a control frame of the specification's validation algorithm).

    Attributes:
        kind: `function`, `block`, `loop`, `if` (before its `else`), `else`, `try`, or `catch` (its later parts).
        name: name of the LLVM block that its label is: what follows the block, or a loop's header.
        height: of the operand stack, without the parameters.
        incoming: the branches to its label: LLVM block that they leave, and operands' texts.
        arguments: an `if`'s parameters, kept for its `else`.
        header: a loop's: index of the line that gets the beginning of its header, once all branches are known.
        needs_check: a loop's: whether a branch to it can be reached without a call that checks for a request to stop.
        position: among the open blocks, the outermost being 0.
        preheader: a loop's: index of the line that branches into it.
        bases: an outermost loop's: the memories whose bases are loaded before it.
        legacy: of a `try`.
        on_end: what is to be done at its end.
        handler_outer: of a block that catches: the handler around its own, which branches out of it make the innermost.
    """

    kind: str
    name: str
    parameters: tuple[ValueType, ...]
    results: tuple[ValueType, ...]
    height: int
    incoming: list[tuple[str, list[str]]] = field(default_factory=list)
    arguments: list[Operand] = field(default_factory=list)
    header: int = 0
    needs_check: bool = False
    position: int = 0
    preheader: int = 0
    bases: set[int] = field(default_factory=set)
    handler_outer: str | None = None
    legacy: LegacyTry | None = None
    on_end: Callable[[FunctionLowering, Frame], None] | None = None

    @property
    def label_types(self) -> tuple[ValueType, ...]:
        """What a branch to its label carries."""
        return self.parameters if self.kind == "loop" else self.results


class FunctionLowering:
    """One function on its way to LLVM IR.

    Attributes:
        lines: text of the body; `entry` and `prologue` go before it (see `body.lower_body`).
        block: label of the LLVM block that lines are added to.
        reachable: whether control can come to the end of `lines`; where it cannot, nothing is emitted.
        stack: the operand stack; `frames` the open blocks, the innermost last; `outermost_loop` one of them.
        known: what locals hold, where that is known.
        not_null: references that are known not to be null, on the only way to where the code is now.
        indexed: pointers into memories that were computed in the current LLVM block: by memory and index operand.
        traps: the kinds of trap that the function branches to.
        calls: whether it calls guest functions.
        makes_tail_calls: whether some of them take its place.
        catching: the open blocks that catch, the innermost last.
        changed_where_caught: the locals that stay in memory because of handlers; None while nobody asked for them.
        called: positions of the open blocks in which a call that checks for a request to stop was made on every way
            to where the code is now, the innermost last.
        carried: how many values its branches and calls carry.
        is_fast: whether the code is for the fast tier.
    """

    __slots__ = (
        "_bases",
        "_handlers",
        "_local_starts",
        "_local_types",
        "_opaque_slots",
        "_uses_execution",
        "block",
        "body",
        "called",
        "calls",
        "carried",
        "catching",
        "changed_where_caught",
        "context",
        "counter",
        "entry",
        "frames",
        "indexed",
        "is_fast",
        "known",
        "lines",
        "locals",
        "makes_tail_calls",
        "not_null",
        "outermost_loop",
        "prologue",
        "reachable",
        "signature",
        "stack",
        "traps",
    )

    def __init__(
        self, context: ModuleContext, body: FunctionBody, changed_where_caught: frozenset[int] | None = None
    ) -> None:
        if context.options.tier is Tier.FAST:  # all locals stay in memory, since nothing is optimised
            changed_where_caught = frozenset()
        self.changed_where_caught = changed_where_caught
        self._handlers: list[int] = []
        self.catching: list[Frame] = []
        self.context = context
        self.body = body
        self.signature: Signature = context.signature(body.type_index)
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.prologue: list[str] = []
        self.block = "body"
        self.reachable = True
        self.stack: list[Operand] = []
        self.counter = 0
        self.traps: set[str] = set()
        self.calls = False
        self.called: list[int] = []
        self.makes_tail_calls = False
        self.carried = 0
        self.locals: dict[int, Operand] = {}
        self.known: dict[int, Operand] = {
            index: (llvm, f"%p{index}") for index, llvm in enumerate(self.signature.parameters)
        }
        self.not_null: set[str] = set()
        self.indexed: dict[tuple[int, str], str] = {}
        # Runs of locals of one type, as they are encoded: a run may count ten thousands.
        runs = [(1, parameter) for parameter in self.signature.type.parameters] + [*body.locals]
        self._local_types = [value for _, value in runs]
        self._local_starts = [0, *accumulate(count for count, _ in runs)]
        self.outermost_loop: Frame | None = None
        self._opaque_slots: set[str] = set()
        self._bases: set[int] = set()
        self.is_fast = context.options.tier is Tier.FAST
        self._uses_execution = False
        results = self.signature.type.results
        self.frames: list[Frame] = [Frame("function", "return", (), results, 0)]

    # -- Values and blocks ---------------------------------------------------------------------------------------

    def name(self) -> str:
        """A new name, for a value (after `%`) or a block."""
        self.counter += 1
        return f"v{self.counter}"

    def define(self, instruction: str) -> str:
        """Emit an instruction that has a result; the result's text."""
        self.counter += 1
        value = f"%v{self.counter}"
        self.lines.append(f"{value} = {instruction}")
        return value

    def start_block(self, label: str) -> None:
        """Go on in a new LLVM block to which control comes on several ways."""
        self.known.clear()
        self.not_null.clear()
        self.continue_in(label)

    def continue_in(self, label: str) -> None:
        """Go on in a new LLVM block to which control comes from the current one only.

        Pointers would be the same there too, but address arithmetic that spans blocks gets in the way of LLVM's
        choice of induction variables: with it, multiplying matrices took 1.05 of the time.
        """
        self.indexed.clear()
        self.lines.append(f"{label}:")
        self.block = label
        self.reachable = True

    def pop(self) -> str:
        """Take the text of the top operand."""
        return self.stack.pop()[1]

    def pop_wide(self) -> str:
        """Take the top operand, an i32 or i64, as an unsigned i64."""
        llvm, text = self.stack.pop()
        return text if llvm == "i64" else self.widen(text)

    def push_narrowed(self, value_type: ValueType, wide: str) -> None:
        """Push an i64 as a value of that type, an i32 or i64."""
        text = wide if value_type is I64 else self.define(f"trunc i64 {wide} to i32")
        self.stack.append((value_type.llvm, text))

    def pop_many(self, count: int) -> list[str]:
        """Take the texts of the `count` top operands, the deepest first."""
        if not count:
            return []
        texts = [text for _, text in self.stack[-count:]]
        del self.stack[-count:]
        return texts

    def pop_condition(self) -> str:
        """Take an i32 that is a condition, as an i1.

        Where the line before made it from a comparison, that is it: nothing else can use its widened form.
        """
        condition = self.pop()
        if self.lines and self.lines[-1].startswith(f"{condition}.c = "):
            self.lines[-1] = self.lines[-1].partition("\n")[0]
            return f"{condition}.c"
        return self.define(f"icmp ne i32 {condition}, 0")

    def widen(self, value: str) -> str:
        """An i32 as an unsigned i64."""
        return self.define(f"zext i32 {value} to i64")

    def carry(self, count: int) -> None:
        """A branch or call carries so many values. Raises ExhaustionError where they become too many."""
        self.carried = self.context.carry(count, self.carried, self.body.index)

    def note_call(self) -> None:
        """A call that checks for a request to stop was made in the innermost open block."""
        innermost = len(self.frames) - 1
        if not self.called or self.called[-1] != innermost:
            self.called.append(innermost)

    def forget_call(self, frame: Frame) -> bool:
        """Forget whether such a call was made in `frame`, the innermost; whether one was."""
        noted = bool(self.called) and self.called[-1] == frame.position
        if noted:
            self.called.pop()
        return noted

    def has_called_since(self, frame: Frame) -> bool:
        """Whether a call has checked for a request to stop since `frame`, which is open, began."""
        return bool(self.called) and self.called[-1] >= frame.position

    def opaque(self, operand: Operand) -> str:
        """A value of which LLVM knows nothing: it goes through memory."""
        llvm, text = operand
        slot = f"%opaque.{llvm}"
        if llvm not in self._opaque_slots:
            self._opaque_slots.add(llvm)
            self.entry.append(f"{slot} = alloca {llvm}, align {ALIGNMENT[llvm]}")
        self.lines.append(f"store volatile {llvm} {text}, ptr {slot}, align {ALIGNMENT[llvm]}")
        return self.define(f"load volatile {llvm}, ptr {slot}, align {ALIGNMENT[llvm]}")

    def define_slot(self) -> str:
        """A stack slot of 16 bytes."""
        slot = f"%{self.name()}.slot"
        self.entry.append(f"{slot} = alloca [16 x i8], align 16")
        return slot

    def handler(self, depth: int, size: int) -> str:
        """The place in the frame for the handler of a block inside of `depth` others that catch."""
        if not self._handlers:
            functions = self.load_text("%handlers.functions", "%vmctx", abi.CONTEXT_RUNTIME)
            code = self.load_text("%handlers.code", "%handlers.functions", 8 * RuntimeFunction.HANDLERS)
            self.prologue[:0] = [functions, code, "%handlers = call ptr %handlers.code()"]
        if depth == len(self._handlers):
            self._handlers.append(0)
        self._handlers[depth] = max(self._handlers[depth], size)
        return f"%handler{depth}"

    @property
    def handler_slots(self) -> list[str]:
        """The lines that make the handlers' places."""
        return [
            f"%handler{depth} = alloca [{size} x i8], align 16" for depth, size in enumerate(self._handlers)
        ]

    @staticmethod
    def load_text(name: str, pointer: str, offset: int) -> str:
        """The line that loads a constant pointer of the engine's structures."""
        return (
            f"{name}.at = getelementptr i8, ptr {pointer}, i64 {offset}\n"
            f"{name} = load ptr, ptr {name}.at, align 8{INVARIANT_POINTER}"
        )

    def is_volatile(self, local: int) -> bool:
        """Whether a local stays in memory because of handlers."""
        return self.changed_where_caught is not None and local in self.changed_where_caught

    def begin_catching(self, frame: Frame, outer: str) -> None:
        """The innermost open block catches from here on; `outer` is the handler around its own."""
        frame.handler_outer = outer
        self.catching.append(frame)

    def end_catching(self, frame: Frame) -> None:
        """It does no more."""
        if frame.handler_outer is not None:
            frame.handler_outer = None
            self.catching.pop()

    def handler_around(self, position: int) -> str | None:
        """The handler that is around all blocks that catch among the open ones from a position on; None if none do."""
        first = bisect_left(self.catching, position, key=lambda frame: frame.position)
        return self.catching[first].handler_outer if first < len(self.catching) else None

    def trap_if(self, condition: str, kind: str) -> None:
        """Leave with a trap where `condition`, an i1, holds; go on in a new block."""
        self.traps.add(kind)
        label = self.name()
        self.lines.append(f"br i1 {condition}, label %trap.{kind}, label %{label}, !prof !0")
        self.continue_in(label)

    # -- The engine's structures ---------------------------------------------------------------------------------

    def address(self, pointer: str, offset: int) -> str:
        """A pointer `offset` bytes further."""
        return self.define(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def load(self, llvm: str, pointer: str, offset: int, metadata: str) -> str:
        """Load a field of one of the engine's structures."""
        return self.define(
            f"load {llvm}, ptr {self.address(pointer, offset)}, align {ALIGNMENT[llvm]}{metadata}"
        )

    def execution_context(self) -> str:
        """The pointer to the execution context, loaded once, in the prologue."""
        self._uses_execution = True
        return "%execution"

    @property
    def uses_execution(self) -> bool:
        """Whether the function needs the pointer to the execution context."""
        return self._uses_execution

    def memory_base(self, memory: int) -> str:
        """The base of a memory, which never changes: loaded before the outermost loop, outside of loops at each use.

        LLVM moves such a load out of loops too, but after it has chosen the loops' induction variables, and what it
        chooses then has the base added in every turn: quicksort took 1.17 of the time, matrices 1.04.
        """
        entry = self.context.layout.memory(memory) + abi.MEMORY_ENTRY_BASE
        if self.is_fast:
            return self._memory_base_from_prologue(memory, entry)
        loop = self.outermost_loop
        if loop is None:
            return self.load("ptr", "%vmctx", entry, INVARIANT_POINTER)
        base = f"%{loop.name}.memory{memory}"
        if memory not in loop.bases:
            loop.bases.add(memory)
            self.lines[loop.preheader] = (
                f"{base}.at = getelementptr i8, ptr %vmctx, i64 {entry}\n"
                f"{base} = load ptr, ptr {base}.at, align 8{INVARIANT_POINTER}\n"
                f"{self.lines[loop.preheader]}"
            )
        return base

    def _memory_base_from_prologue(self, memory: int, entry: int) -> str:
        """What is not optimised anyway gets by with the least text."""
        base = f"%memory{memory}"
        if memory not in self._bases:
            self._bases.add(memory)
            self.prologue.append(self.load_text(base, "%vmctx", entry))
        return base

    def memory_record(self, memory: int) -> str:
        """The pointer to a memory's record."""
        entry = self.context.layout.memory(memory) + abi.MEMORY_ENTRY_RECORD
        return self.load("ptr", "%vmctx", entry, INVARIANT_POINTER)

    def table_record(self, table: int) -> str:
        """The pointer to a table's record."""
        entry = self.context.layout.table(table) + abi.TABLE_ENTRY_RECORD
        return self.load("ptr", "%vmctx", entry, INVARIANT_POINTER)

    def call_runtime(self, function: RuntimeFunction, *arguments: str) -> str:
        """Call a runtime function; the result's text, which means nothing where it has none."""
        result, parameters = RUNTIME_SIGNATURES[function]
        functions = self.load("ptr", "%vmctx", abi.CONTEXT_RUNTIME, INVARIANT_POINTER)
        code = self.load("ptr", functions, 8 * function, INVARIANT_POINTER)
        typed = ", ".join(f"{llvm} {text}" for llvm, text in zip(parameters, arguments, strict=True))
        if result == "void":
            self.lines.append(f"call void {code}({typed})")
            return ""
        return self.define(f"call {result} {code}({typed})")

    def code_cell(self, index: int, field: int) -> str:
        """A field of the code table's cell of function `index`, which the module defines: the address of code.

        It is read each time, since better code may come: volatile, for LLVM is to make nothing of two reads.
        """
        position = index - self.context.module.imported_function_count
        table = "%code.table"
        if not self.is_fast:
            table = self.load("ptr", "%vmctx", abi.CONTEXT_CODE_TABLE, INVARIANT_POINTER)
        place = self.address(table, code_table.cell_offset(position) + field)
        return self.define(f"load volatile ptr, ptr {place}, align 8")

    def count_lines(self, name: str) -> str:
        """The lines that count that the function was entered, or that a loop went round.

        Threads may get in each other's way, and counts be lost: they need not be exact.
        """
        position = self.body.index - self.context.module.imported_function_count
        offset = code_table.cell_offset(position) + code_table.CELL_COUNT
        return (
            f"%{name}.count.at = getelementptr i8, ptr %code.table, i64 {offset}\n"
            f"%{name}.count = load volatile i64, ptr %{name}.count.at, align 8\n"
            f"%{name}.more = add i64 %{name}.count, 1\n"
            f"store volatile i64 %{name}.more, ptr %{name}.count.at, align 8"
        )

    # -- Locals ----------------------------------------------------------------------------------------------

    def local(self, index: int) -> Operand:
        """LLVM type and stack slot of a local."""
        found = self.locals.get(index)
        return self._declare_local(index) if found is None else found

    def _declare_local(self, index: int) -> Operand:
        """Make the slot of a local that is mentioned for the first time, and give it its first value."""
        value = self._local_types[bisect_right(self._local_starts, index) - 1]
        llvm = value.llvm
        slot = f"%l{index}"
        self.entry.append(f"{slot} = alloca {llvm}, align {ALIGNMENT[llvm]}")
        if index < len(self.signature.parameters):
            first = f"%p{index}"
        elif value is F64 or value is F32:
            # The default is a zero that LLVM must not know, like any other (see CONTEXT_FLOAT_CONSTANTS).
            offset = (abi.FLOAT_CONSTANTS_64 if value is F64 else abi.FLOAT_CONSTANTS_32)[0]
            first = f"{slot}.zero"
            self.prologue.append(
                f"{slot}.p = getelementptr i8, ptr %vmctx, i64 {offset}\n"
                f"{first} = load {llvm}, ptr {slot}.p, align {ALIGNMENT[llvm]}{INVARIANT}"
            )
        else:
            first = _ZERO[llvm]
        self.prologue.append(f"store {llvm} {first}, ptr {slot}, align {ALIGNMENT[llvm]}")
        local = self.locals[index] = (llvm, slot)
        return local


Rule = Callable[[FunctionLowering, Instruction, tuple[Any, ...]], None]
"""How a rule is lowered: from the function's state, the row and the immediates (see `binary.instructions`)."""
