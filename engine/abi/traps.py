"""The one table of traps: code in machine code, name in the API, message of the specification."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class TrapKind(IntEnum):
    """Why a guest trapped; the value is what compiled code passes to the trap exit."""

    UNREACHABLE = 1
    INTEGER_DIVIDE_BY_ZERO = 2
    INTEGER_OVERFLOW = 3
    INVALID_CONVERSION_TO_INTEGER = 4
    OUT_OF_BOUNDS_MEMORY_ACCESS = 5
    OUT_OF_BOUNDS_TABLE_ACCESS = 6
    UNDEFINED_ELEMENT = 7
    UNINITIALIZED_ELEMENT = 8
    INDIRECT_CALL_TYPE_MISMATCH = 9
    CALL_STACK_EXHAUSTED = 10
    NULL_EXCEPTION_REFERENCE = 11
    UNALIGNED_ATOMIC = 12
    EXPECTED_SHARED_MEMORY = 13
    NULL_REFERENCE = 14
    NULL_FUNCTION_REFERENCE = 15
    NULL_STRUCTURE_REFERENCE = 16
    NULL_ARRAY_REFERENCE = 17
    NULL_I31_REFERENCE = 18
    CAST_FAILURE = 19
    OUT_OF_BOUNDS_ARRAY_ACCESS = 20
    NULL_DESCRIPTOR_REFERENCE = 21
    DESCRIPTOR_CAST_FAILURE = 22

    @property
    def message(self) -> str:
        """The message that the specification's test suite expects."""
        return _MESSAGES[self]


_MESSAGES: dict[TrapKind, str] = {
    TrapKind.UNREACHABLE: "unreachable",
    TrapKind.INTEGER_DIVIDE_BY_ZERO: "integer divide by zero",
    TrapKind.INTEGER_OVERFLOW: "integer overflow",
    TrapKind.INVALID_CONVERSION_TO_INTEGER: "invalid conversion to integer",
    TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS: "out of bounds memory access",
    TrapKind.OUT_OF_BOUNDS_TABLE_ACCESS: "out of bounds table access",
    TrapKind.UNDEFINED_ELEMENT: "undefined element",
    TrapKind.UNINITIALIZED_ELEMENT: "uninitialized element",
    TrapKind.INDIRECT_CALL_TYPE_MISMATCH: "indirect call type mismatch",
    TrapKind.CALL_STACK_EXHAUSTED: "call stack exhausted",
    TrapKind.NULL_EXCEPTION_REFERENCE: "null exception reference",
    TrapKind.UNALIGNED_ATOMIC: "unaligned atomic",
    TrapKind.EXPECTED_SHARED_MEMORY: "expected shared memory",
    TrapKind.NULL_REFERENCE: "null reference",
    TrapKind.NULL_FUNCTION_REFERENCE: "null function reference",
    TrapKind.NULL_STRUCTURE_REFERENCE: "null structure reference",
    TrapKind.NULL_ARRAY_REFERENCE: "null array reference",
    TrapKind.NULL_I31_REFERENCE: "null i31 reference",
    TrapKind.CAST_FAILURE: "cast failure",
    TrapKind.OUT_OF_BOUNDS_ARRAY_ACCESS: "out of bounds array access",
    TrapKind.NULL_DESCRIPTOR_REFERENCE: "null descriptor reference",
    TrapKind.DESCRIPTOR_CAST_FAILURE: "descriptor cast failure",
}

# Codes above the traps: ways out of guest code that are no traps of the specification.
EXIT_TERMINATED = 64
"""The guest touched its execution context while that was protected: somebody asked it to stop."""

EXIT_HOST_EXCEPTION = 65
"""A host function raised; the exception waits beside the thread's record."""

EXIT_GUEST_EXCEPTION = 66
"""A guest threw an exception that nothing in the guest catches; it waits in the thread's record."""
