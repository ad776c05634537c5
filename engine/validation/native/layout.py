"""Where the routine finds what it reads: layouts of its tables in bytes, and the numbers in them."""

from __future__ import annotations

from enum import IntEnum, auto


class At(IntEnum):
    """Words of 64 bits in the context: addresses of tables, and how many entries they have."""

    SOURCE = 0
    BODIES = 8
    FACTS = 16
    INSTRUCTIONS = 24
    MATCHES = 32
    SINGLE_TYPES = 40
    BLOCK_TYPE_CODES = 48
    HEAP_TYPE_CODES = 56
    VALUE_TYPE_CODES = 64
    TYPES = 72
    TYPE_COUNT = 80
    FUNCTIONS = 88
    FUNCTION_COUNT = 96
    DECLARED = 104
    GLOBALS = 112
    GLOBAL_COUNT = 120
    TABLES = 128
    TABLE_COUNT = 136
    MEMORIES = 144
    MEMORY_COUNT = 152
    ELEMENTS = 160
    ELEMENT_COUNT = 168
    DATA_COUNT = 176
    IMPORTED_FUNCTIONS = 184
    INDEXED_BLOCK_TYPES = 192
    LOCAL_TYPE_CODES = 200
    ANY = 208  # more than an index of 32 bits can be
    TAGS = 216  # words of 32 bits: the types' indices
    TAG_COUNT = 224
    EXCEPTION = 232  # the number of the type of references to exceptions
    CAUGHT_EXCEPTION = 240  # the same of those that are not null


CONTEXT_WORDS = max(At) // 8 + 1


class Row(IntEnum):
    """Bytes of an instruction's row."""

    KIND = 0
    PARAMETER_COUNT = 1
    RESULT_COUNT = 2
    PARAMETERS = 3  # four, the topmost first; of accesses without the address
    RESULTS = 7  # two
    NUMBER = 9  # exponent of an access's size; of a constant: bits or bytes; of lanes: how many are named
    FLAGS = 10
    LANES = 11  # what each of the named must be less than
    GROUP_START = 12  # two bytes: of a prefix, the first row of its instructions
    GROUP_SIZE = 14  # two bytes
    FIRST_LIMIT = 16  # the first immediate is an index less than this word of the context; 0: it is none
    SECOND_LIMIT = 17  # the same of the second one


ROW_BYTES = 18
MOST_PARAMETERS = 4
MOST_RESULTS = 2


class RowFlag(IntEnum):
    """What is to be noted of an instruction, or checked beyond its kind."""

    TRAPS = 1
    BRANCHES = 2
    NATURALLY_ALIGNED = 4
    CATCHES = 8


class Kind(IntEnum):
    """How the routine treats an instruction.

    UNDECIDED leaves its function to Python. Of those before ACCESS, the row's signature says what they take and leave.
    """

    UNDECIDED = 0
    PREFIX = auto()
    SIGNATURE = auto()
    FIXED_BYTES = auto()
    SIGNED_32 = auto()
    SIGNED_64 = auto()
    ZERO_BYTE = auto()
    LANE = auto()
    LANES = auto()
    ACCESS = auto()
    UNREACHABLE = auto()
    BLOCK = auto()
    LOOP = auto()
    IF = auto()
    TRY = auto()
    TRY_TABLE = auto()
    ELSE = auto()
    CATCH = auto()
    CATCH_ALL = auto()
    DELEGATE = auto()
    END = auto()
    THROW = auto()
    THROW_REF = auto()
    RETHROW = auto()
    BR = auto()
    BR_IF = auto()
    BR_TABLE = auto()
    RETURN = auto()
    CALL = auto()
    CALL_INDIRECT = auto()
    RETURN_CALL = auto()
    RETURN_CALL_INDIRECT = auto()
    DROP = auto()
    SELECT = auto()
    SELECT_TYPED = auto()
    LOCAL_GET = auto()
    LOCAL_SET = auto()
    LOCAL_TEE = auto()
    GLOBAL_GET = auto()
    GLOBAL_SET = auto()
    TABLE_GET = auto()
    TABLE_SIZE = auto()
    TABLE_SET = auto()
    TABLE_GROW = auto()
    TABLE_FILL = auto()
    TABLE_COPY = auto()
    TABLE_INIT = auto()
    REF_NULL = auto()
    REF_IS_NULL = auto()
    REF_FUNC = auto()
    MEMORY_SIZE = auto()
    MEMORY_GROW = auto()
    MEMORY_FILL = auto()
    MEMORY_COPY = auto()
    MEMORY_INIT = auto()


class TypeId(IntEnum):
    """The numbers of value types. Abstract references follow after `FIRST_REFERENCE`.

    UNKNOWN is what unreachable code has; FUNCTION a reference to a function of a type of the module, which matches
    nothing but what all functions match; OTHER whatever has no number, and is never on the operand stack.
    """

    UNKNOWN = 0
    I32 = 1
    I64 = 2
    F32 = 3
    F64 = 4
    V128 = 5
    FIRST_REFERENCE = 6
    FUNCTION = 30
    OTHER = 31


MUTABLE = 0x80
"""In a global's byte, beside its type's number."""

TABLE_BYTES = 4  # type of the elements, type of indices, whether the elements are functions, nothing
TABLE_INDEX_TYPE = 1
TABLE_OF_FUNCTIONS = 2

TYPE_BYTES = 16  # words of 32 bits, and the address of the types: parameters, then results


class TypeRow(IntEnum):
    """Bytes of a type's row."""

    VALUES = 0  # a word of 64 bits; 0 where it is no function type
    PARAMETER_COUNT = 8
    RESULT_COUNT = 12


class Frame(IntEnum):
    """Bytes of a frame on the control stack: words of 64 bits."""

    BASE = 0  # address of its first operand
    KIND = 8
    UNREACHABLE = 16
    PARAMETERS = 24
    PARAMETER_COUNT = 32
    RESULTS = 40
    RESULT_COUNT = 48


FRAME_BYTES = 56

# The scratch memory of a thread: types of the locals, marks of those that are set, operands, control frames.
MOST_LOCALS = 1 << 16
MOST_OPERANDS = 1 << 16
MOST_FRAMES = 1 << 13
MARKS_START = MOST_LOCALS
OPERANDS_START = MARKS_START + MOST_LOCALS
FRAMES_START = OPERANDS_START + MOST_OPERANDS
SCRATCH_BYTES = FRAMES_START + MOST_FRAMES * FRAME_BYTES

LOCALS_IN_ANY = 1000
"""Locals that any function may have; larger functions may have as many more as they have bytes."""

MOST_BRANCHED_VALUES = 16
"""Values that labels of `br_table` and of catch clauses may take: there are many of them in one instruction."""
