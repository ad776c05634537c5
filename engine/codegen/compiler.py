"""LLVM IR text to an object: parse, verify, run the passes, emit."""

from __future__ import annotations

import functools
import threading
from enum import Enum

from llvmlite import binding as llvm

from farcall.engine.codegen.target import Target


class Optimization(Enum):
    """How much work goes into the code."""

    FAST = 0
    """No passes, LLVM's O0: code soon."""
    FULL = 2
    """The short pipeline and LLVM's O2: as fast as the long pipeline on measured kernels, at a third of its cost."""


def _run_passes(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    """Run the short pipeline on every function of the module."""
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()  # locals become values
    passes.add_instruction_combine_pass()  # comparisons lose their way through i32; addresses get simple
    passes.add_simplify_cfg_pass()
    passes.add_loop_rotate_pass()  # one branch for each iteration instead of two
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


_PROCESS_OPTIONS = (
    # Let functions have several epilogues, of up to 16 instructions, instead of one that all returns jump to: binary
    # trees took 0.6 of the time, nothing else changed.
    "-tail-dup-placement-threshold=16",
    # Leave loops' induction variables as the module's compiler chose them: strength reduction makes one of every
    # address that is no sum in 64 bits, and spills them. SHA-256 and `fib` took 0.94 of the time.
    "-disable-lsr",
    # Keep instructions in the order of the module, whose compiler has scheduled them: LLVM's scheduler made what one
    # turn of a loop hands to the next wait for what nobody needs yet (`collatz` took 0.82 of the time).
    "-enable-misched=false",
    # A function that faults before it has set up its frame would hide its caller from the backtrace.
    "-enable-shrink-wrap=false",
)
"""LLVM has these as options of the whole process only."""

for _option in _PROCESS_OPTIONS:
    llvm.set_option("farcall", _option)


_machines = threading.local()


def _machine(target: Target, optimization: Optimization) -> llvm.TargetMachine:
    """The thread's own machine: creating one costs a millisecond, and LLVM's are not shared by threads."""
    cache: dict[tuple[Target, Optimization], llvm.TargetMachine] = _machines.__dict__.setdefault("cache", {})
    key = (target, optimization)
    if key not in cache:
        cache[key] = target.machine(optimization.value)
    return cache[key]


@functools.cache
def _data_layout(target: Target) -> str:
    """LLVM's text for sizes and alignments on a machine. Asking for it costs as much as reading a small module."""
    return str(_machine(target, Optimization.FAST).target_data)


def compile_to_object(text: str, target: Target, optimization: Optimization = Optimization.FULL) -> bytes:
    """Compile one LLVM module, given as text, to a relocatable ELF object.

    Raises:
        RuntimeError: LLVM refuses the text, which is a defect of the lowering.
    """
    machine = _machine(target, optimization)
    return bytes(machine.emit_object(_prepare(text, target, optimization)))


def compile_visibly(text: str, target: Target, optimization: Optimization) -> tuple[str, bytes]:
    """As `compile_to_object`, with what LLVM's code generator is given: the text after the passes; raises alike."""
    module = _prepare(text, target, optimization)
    passed = str(module)
    return passed, bytes(_machine(target, optimization).emit_object(module))


def _prepare(text: str, target: Target, optimization: Optimization) -> llvm.ModuleRef:
    """The module, verified and with the passes run."""
    context = llvm.create_context()
    module = llvm.parse_assembly(text, context)
    module.triple = target.triple
    module.data_layout = _data_layout(target)
    module.verify()
    if optimization is Optimization.FULL:
        _run_passes(module, _machine(target, optimization))
    return module
