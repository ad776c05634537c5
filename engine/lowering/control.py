"""Structured control (section 4.4.8): blocks, branches, and the phi nodes where branches meet."""

from __future__ import annotations

from typing import Any

from farcall.engine.abi.layout import EXECUTION_CHECK
from farcall.engine.binary.types import BlockType
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.lowering.function import Frame, FunctionLowering
from farcall.engine.structure.types import FunctionType

_EMPTY = FunctionType((), ())


def block_type_of(function: FunctionLowering, block_type: BlockType) -> FunctionType:
    """The function type that a block type stands for (section 4.2.13)."""
    if block_type is None:
        return _EMPTY
    module = function.context.module
    if isinstance(block_type, int):
        return module.signature(block_type)
    return FunctionType((), (module.value_type(block_type),))


def open_block(function: FunctionLowering, kind: str, block_type: BlockType) -> Frame:
    """Open a block whose parameters are on the operand stack."""
    types = block_type_of(function, block_type)
    height = len(function.stack) - len(types.parameters)
    frame = Frame(
        kind, function.name(), types.parameters, types.results, height, position=len(function.frames)
    )
    function.frames.append(frame)
    return frame


def branch_edge(function: FunctionLowering, frame: Frame, block: str | None = None) -> str:
    """Record a branch with the top operands from `block` (the current one) to the frame's label; the label."""
    count = len(frame.label_types)
    if count:
        function.carry(count)
    texts = [text for _, text in function.stack[-count:]] if count else []
    frame.incoming.append((function.block if block is None else block, texts))
    if frame.kind == "loop" and not function.has_called_since(frame):
        frame.needs_check = True
    return frame.name


def jump(function: FunctionLowering, frame: Frame) -> None:
    """Branch to the frame's label."""
    leaving = leave_handlers(function, frame)
    if leaving:
        function.lines.append(leaving)
    _branch(function, frame)


def _branch(function: FunctionLowering, frame: Frame) -> None:
    function.lines.append(f"br label %{branch_edge(function, frame)}")
    function.reachable = False


def leave_handlers(function: FunctionLowering, target: Frame) -> str:
    """The line that takes down the handlers of the blocks that a branch to `target` leaves; empty if there are none."""
    outer = function.handler_around(target.position)
    return f"store ptr {outer}, ptr %handlers, align 8" if outer else ""


def _phi_nodes(frame: Frame) -> list[str]:
    """The phi nodes at the frame's label: `%<name>.<position>` for each operand that branches carry."""
    return [
        f"%{frame.name}.{position} = phi {value.llvm} "
        + ", ".join(f"[ {texts[position]}, %{block} ]" for block, texts in frame.incoming)
        for position, value in enumerate(frame.label_types)
    ]


def block(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`block`."""
    open_block(function, "block", immediates[0])


def loop(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`loop`: its header starts with phi nodes, of which `_close_loop` knows the branches."""
    frame = open_block(function, "loop", immediates[0])
    frame.preheader = len(function.lines)
    jump(function, frame)
    frame.needs_check = False  # nothing has gone round yet
    function.start_block(frame.name)
    frame.header = len(function.lines)
    function.lines.append("")
    if function.outermost_loop is None:
        function.outermost_loop = frame
    if frame.parameters:
        del function.stack[frame.height :]
        function.stack.extend(
            (value.llvm, f"%{frame.name}.{position}") for position, value in enumerate(frame.parameters)
        )
    if function.context.options.ensure_termination:
        function.execution_context()


def _close_loop(function: FunctionLowering, frame: Frame) -> None:
    """End a loop: what follows is reached from its last instruction alone."""
    lines = _phi_nodes(frame)
    if frame.needs_check and function.context.options.ensure_termination:
        # The page of the execution context is made inaccessible to stop the guest.
        assert EXECUTION_CHECK == 0
        lines.append(f"%{frame.name}.check = load volatile i64, ptr %execution, align 8")
    if function.is_fast:
        lines.append(function.count_lines(frame.name))
    function.lines[frame.header] = "\n".join(lines)
    if function.outermost_loop is frame:
        function.outermost_loop = None
    if not function.reachable:
        del function.stack[frame.height :]


def _bypasses(frame: Frame) -> bool:
    """Whether control may have come to the end of a block without what lies in the middle of it."""
    return frame.kind == "block" and bool(frame.incoming)


def if_(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`if`."""
    condition = function.pop_condition()
    frame = open_block(function, "if", immediates[0])
    frame.arguments = function.stack[frame.height :]
    name = frame.name
    function.lines.append(f"br i1 {condition}, label %{name}.then, label %{name}.else")
    function.continue_in(f"{name}.then")


def else_(function: FunctionLowering, row: Instruction | None, immediates: tuple[Any, ...]) -> None:
    """`else`; also the empty one of an `if` that has none, which hands its parameters on."""
    frame = function.frames[-1]
    if function.reachable:
        jump(function, frame)
    frame.kind = "else"
    function.forget_call(frame)
    function.stack[frame.height :] = frame.arguments
    function.start_block(f"{frame.name}.else")


def end(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`end`: of a block, or of the function."""
    frame = function.frames[-1]
    if frame.kind == "if":
        else_(function, None, ())
    if frame.handler_outer is not None and function.reachable:
        function.lines.append(leave_handlers(function, frame))
    if frame.on_end is not None:
        frame.on_end(function, frame)
    function.end_catching(frame)
    function.frames.pop()
    called = function.forget_call(frame)
    if called and function.frames and frame.kind in ("block", "loop") and not _bypasses(frame):
        function.note_call()
    if frame.kind == "loop":
        _close_loop(function, frame)
        return
    if frame.incoming:
        if function.reachable:
            _branch(function, frame)
        del function.stack[frame.height :]
        function.start_block(frame.name)
        if frame.results:
            function.lines.extend(_phi_nodes(frame))
            function.stack.extend(
                (value.llvm, f"%{frame.name}.{position}") for position, value in enumerate(frame.results)
            )
    elif not function.reachable:
        del function.stack[frame.height :]


def br(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br`."""
    jump(function, function.frames[-1 - immediates[0]])


def br_if(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_if`."""
    branch_if(function, function.pop_condition(), immediates[0])


def branch_if(function: FunctionLowering, condition: str, depth: int) -> None:
    """Branch to a label where `condition`, an i1, holds, with the top operands, which stay for what goes on."""
    frame = function.frames[-1 - depth]
    leaving = leave_handlers(function, frame)
    if leaving:
        name = function.name()
        target = branch_edge(function, frame, f"{name}.leave")
        function.lines.append(f"br i1 {condition}, label %{name}.leave, label %{name}")
        function.lines.append(f"{name}.leave:\n{leaving}\nbr label %{target}")
        function.continue_in(name)
        return
    target = branch_edge(function, frame)
    after = function.name()
    function.lines.append(f"br i1 {condition}, label %{target}, label %{after}")
    function.continue_in(after)


def br_table(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`br_table`.

    A phi node wants an entry for each edge of a `switch`; where operands are carried, an LLVM block between
    makes one edge of all that lead to the same label.
    """
    index = function.pop()
    *depths, default = immediates[0]
    switch = function.name()
    if function.is_fast:  # FastISel leaves all of a block that ends so to LLVM's other instruction selector
        function.lines.append(f"br label %{switch}.table")
        function.continue_in(f"{switch}.table")
    targets: dict[int, str] = {}
    between: list[str] = []
    for depth in {default, *depths}:
        frame = function.frames[-1 - depth]
        leaving = leave_handlers(function, frame)
        if frame.label_types or leaving:
            label = targets[depth] = f"{switch}.to{depth}"
            target = branch_edge(function, frame, label)
            lines = [f"{label}:", *filter(None, [leaving]), f"br label %{target}"]
            between.append("\n".join(lines))
        else:
            targets[depth] = branch_edge(function, frame)
    cases = " ".join(
        f"i32 {position}, label %{targets[depth]}"
        for position, depth in enumerate(depths)
        if depth != default
    )
    function.lines.append(f"switch i32 {index}, label %{targets[default]} [ {cases} ]")
    function.lines.extend(between)
    function.reachable = False


def return_(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`return`: a branch to the outermost label."""
    jump(function, function.frames[0])


def unreachable(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`unreachable`."""
    function.traps.add("unreachable")
    function.lines.append("br label %trap.unreachable")
    function.reachable = False


def nop(function: FunctionLowering, row: Instruction, immediates: tuple[Any, ...]) -> None:
    """`nop`."""
