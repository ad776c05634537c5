"""What becomes of a function, for people: its instructions, LLVM IR and machine code, and which belongs to which."""

from farcall.engine.inspection.function_inspection import (
    CodeLine,
    FunctionInspection,
    Tier,
    inspect_function,
)

__all__ = ["CodeLine", "FunctionInspection", "Tier", "inspect_function"]
