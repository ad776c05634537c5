"""Random modules that are valid by construction and always end.

Every function and every iteration of a loop burns fuel, which a global holds, so loops, branches and calls
(recursion and calls through the table included) need no other bound. What the specification leaves open is
not observed: the NaNs of float operations are made canonical at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from farcall.engine.instructions.instruction import Instruction
from farcall.engine.instructions.table import INSTRUCTIONS

from .case import Call
from .module_encoder import ModuleEncoder, Signature, constant, instruction, limits, types

NUMBERS = ("i32", "i64", "f32", "f64")
OBSERVED_GLOBALS = ("fuel", *(f"global_{name}" for name in NUMBERS))
"""The globals that every program exports."""

CANONICAL_NAN = {"f32": 0x7FC00000, "f64": 0x7FF8 << 48}
SIGNIFICANT_BITS = {"f32": 23, "f64": 52}
FUEL = 300
PAGE = 65536
TABLE_SIZE = 8
TABLE_MAXIMUM = 12
MEMORY_MAXIMUM = 3

_SCALAR = [row for row in INSTRUCTIONS if row.prefix != 0xFD]
_NUMERIC = [
    row
    for row in _SCALAR
    if row.template is not None and all(operand.name in NUMBERS for operand in row.parameters)
]
_BY_RESULT = {name: [row for row in _NUMERIC if row.results[0].name == name] for name in NUMBERS}
_LOADS = {
    name: [row for row in _SCALAR if row.rule == "load" and row.results[0].name == name] for name in NUMBERS
}
_STORES = [row for row in _SCALAR if row.rule == "store"]
_ATOMIC_VALUES = {
    name: [
        row
        for row in INSTRUCTIONS
        if row.rule in ("atomic_load", "atomic_rmw", "atomic_cmpxchg", "atomic_notify")
        and row.results[0].name == name
    ]
    for name in ("i32", "i64")
}
_ATOMIC_STORES = [row for row in INSTRUCTIONS if row.rule == "atomic_store"]
_WAITS = [row for row in INSTRUCTIONS if row.rule == "atomic_wait"]
_KEEPS_NANS = ("abs", "neg", "copysign", "reinterpret")


@dataclass(frozen=True, slots=True)
class Program:
    """A module, the calls of its exports to make in order, and the module that it imports from, if any."""

    module: bytes
    calls: tuple[Call, ...]
    library: bytes | None = None


def interesting_bits(source: random.Random, type_name: str) -> int:
    """A value at which things happen, or any."""
    width = int(type_name[1:])
    match source.randrange(4):
        case 0:
            return source.getrandbits(width)
        case 1:
            return source.randrange(-3, 20) & (1 << width) - 1
        case 2:
            return ((1 << source.randrange(width)) + source.randrange(-1, 2)) & (1 << width) - 1
    if type_name[0] == "i":
        return source.choice((0, 1, (1 << width) - 1, 1 << width - 1, (1 << width - 1) - 1))
    significand = SIGNIFICANT_BITS[type_name]
    infinity = (1 << width - 1) - (1 << significand)
    one = ((1 << width - significand - 2) - 1) << significand
    sign = source.getrandbits(1) << width - 1
    return sign | source.choice(
        (0, 1, one, infinity, infinity - 1, CANONICAL_NAN[type_name], one + (31 << significand))
    )


def is_nan(type_name: str, bits: int) -> bool:
    """Whether a bit pattern is a NaN."""
    width = int(type_name[1:])
    infinity = (1 << width - 1) - (1 << SIGNIFICANT_BITS[type_name])
    return bits & (1 << width - 1) - 1 > infinity


def generate(source: random.Random, functions: int = 4, nodes: int = 120, *, linked: bool = False) -> Program:
    """A random program.

    Args:
        source: all randomness comes from it.
        functions: how many functions it has.
        nodes: about how many instructions, beside operands, each function has.
        linked: whether it is two modules, the second of which imports all that the first one has.
    """
    signatures = [_signature(source) for _ in range(functions)]
    exported = [(_types(source, 3), (source.choice(("i32", "i64")),)) for _ in range(2)]
    if not linked:
        encoder = _with_state(source)
        _add_functions(source, encoder, 0, signatures + exported, nodes)
        return Program(encoder.encode(), _calls(source, exported, functions))
    library = _with_state(source)
    _add_functions(source, library, 0, signatures, nodes)
    application = _with_imported_state(signatures)
    more = [_signature(source) for _ in range(functions)]
    _add_functions(source, application, functions, signatures + more + exported, nodes)
    calls = _calls(source, exported, 2 * functions)
    return Program(application.encode(), calls, library.encode())


def _with_state(source: random.Random) -> ModuleEncoder:
    """A module with a memory, a table and globals."""
    encoder = ModuleEncoder()
    encoder.memory(1, MEMORY_MAXIMUM, export="memory")
    encoder.table("funcref", TABLE_SIZE, TABLE_MAXIMUM, export="table")
    encoder.global_("i32", True, constant("i32", FUEL), export="fuel")
    for name in NUMBERS:
        encoder.global_(name, True, constant(name, interesting_bits(source, name)), export=f"global_{name}")
    return encoder


def _with_imported_state(signatures: Sequence[Signature]) -> ModuleEncoder:
    """A module that imports what `_with_state` makes, and functions; it exports all of them again."""
    encoder = ModuleEncoder()
    encoder.import_("library", "memory", "memory", limits(1, MEMORY_MAXIMUM))
    encoder.import_("library", "table", "table", types(["funcref"])[1:] + limits(TABLE_SIZE, TABLE_MAXIMUM))
    for name, value_type in (("fuel", "i32"), *((f"global_{name}", name) for name in NUMBERS)):
        index = encoder.import_("library", name, "global", types([value_type])[1:] + b"\1")
        encoder.export("global", index, name)
    for number, signature in enumerate(signatures):
        encoder.export("function", encoder.import_function("library", f"f{number}", signature), f"f{number}")
    encoder.export("memory", 0, "memory")
    return encoder


def _add_functions(
    source: random.Random, encoder: ModuleEncoder, imported: int, signatures: Sequence[Signature], nodes: int
) -> None:
    """Add the functions that come after the imported ones, and segments."""
    shape = _Shape(tuple(signatures), fuel=0)
    for index, signature in enumerate(signatures[imported:], imported):
        body = _FunctionGenerator(source, encoder, shape, signature, nodes)
        code = body.function_body()
        encoder.function(signature, code, body.local_types[len(signature[0]) :], export=f"f{index}")
    encoder.active_data(0, source.randbytes(128))
    encoder.passive_data(source.randbytes(32))
    in_table = [source.randrange(len(signatures)) for _ in range(TABLE_SIZE // 2)]
    encoder.active_elements(1 + source.randrange(TABLE_SIZE // 2), in_table)
    encoder.passive_elements([source.randrange(len(signatures)) for _ in range(3)])
    refuel = constant("i32", FUEL) + instruction("global.set", shape.fuel)
    encoder.function(((), ()), refuel, export="refuel")


def _calls(source: random.Random, exported: Sequence[Signature], first: int) -> tuple[Call, ...]:
    calls: list[Call] = []
    for _ in range(3):
        for index, (parameters, _results) in enumerate(exported, first):
            calls.append(("refuel", ()))
            calls.append((f"f{index}", tuple(_argument(source, name) for name in parameters)))
    return tuple(calls)


def _types(source: random.Random, most: int) -> tuple[str, ...]:
    return tuple(source.choice(NUMBERS) for _ in range(source.randrange(most + 1)))


def _signature(source: random.Random) -> Signature:
    """A function's type; one in six has so many values that they do not fit into registers."""
    if source.randrange(6) == 0:
        return _types(source, 20), _types(source, 12)
    return _types(source, 4), _types(source, 3)


def _argument(source: random.Random, type_name: str) -> int:
    bits = interesting_bits(source, type_name)
    if type_name[0] == "f" and is_nan(type_name, bits):
        return 0  # Python's floats would make a signaling NaN quiet on its way in.
    return bits


@dataclass(frozen=True, slots=True)
class _Shape:
    """What functions of the module can refer to."""

    signatures: tuple[Signature, ...]
    fuel: int


class _FunctionGenerator:
    """Generates one function's body; expressions are bytes that leave values of the wanted types."""

    def __init__(
        self, source: random.Random, encoder: ModuleEncoder, shape: _Shape, signature: Signature, nodes: int
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._shape = shape
        self._signature = signature
        self._nodes = nodes
        self._labels: list[tuple[str, ...]] = [
            signature[1]
        ]  # what a branch to each takes, the innermost last
        self.local_types = [*signature[0], *NUMBERS, *NUMBERS]
        self._scratch = {name: len(self.local_types) - len(NUMBERS) + at for at, name in enumerate(NUMBERS)}

    def function_body(self) -> bytes:
        """The body: it burns fuel, does something, and gives the results."""
        body = self._burn_fuel_or_trap()
        for _ in range(self._source.randrange(1, 6)):
            body += self._statement(3)
        return body + self._values(self._signature[1], 3)

    # Fuel.

    def _get_fuel(self) -> bytes:
        return instruction("global.get", self._shape.fuel)

    def _burn_fuel_or_trap(self) -> bytes:
        code = self._get_fuel() + instruction("i32.eqz")
        code += instruction("if", None) + instruction("unreachable") + instruction("end")
        code += self._get_fuel() + constant("i32", 1) + instruction("i32.sub")
        return code + instruction("global.set", self._shape.fuel)

    # Values.

    def _values(self, types: Sequence[str], depth: int) -> bytes:
        if types and depth > 0 and self._source.randrange(4) == 0:
            return self._structured(tuple(types), depth - 1)
        return b"".join(self._value(name, depth) for name in types)

    def _value(self, name: str, depth: int) -> bytes:
        self._nodes -= 1
        if depth <= 0 or self._nodes <= 0:
            return self._leaf(name)
        (make,) = self._source.choices(list(_VALUES), list(_VALUES.values()))
        return make(self, name, depth - 1)

    def _select(self, name: str, depth: int) -> bytes:
        operands = self._value(name, depth) + self._value(name, depth) + self._value("i32", depth)
        if self._source.randrange(2):
            return operands + instruction("select")
        return operands + instruction("select t", [name])

    def _tee(self, name: str, depth: int) -> bytes:
        return self._value(name, depth) + instruction("local.tee", self._local(name))

    def _structured_value(self, name: str, depth: int) -> bytes:
        return self._structured((name,), depth)

    def _leaf(self, name: str, _depth: int = 0) -> bytes:
        match self._source.randrange(4):
            case 0:
                return instruction("global.get", 1 + NUMBERS.index(name))
            case 1:
                return constant(name, interesting_bits(self._source, name))
        return instruction("local.get", self._local(name))

    def _local(self, name: str) -> int:
        """A local of that type; the scratch locals of floats are not given out."""
        last = len(self.local_types) - len(NUMBERS)
        return self._source.choice([index for index in range(last) if self.local_types[index] == name])

    def _numeric(self, name: str, depth: int) -> bytes:
        row = self._source.choice(_BY_RESULT[name])
        code = b"".join(self._value(operand.name, depth) for operand in row.parameters) + instruction(
            row.name
        )
        if name[0] == "i" or any(word in row.name for word in _KEEPS_NANS):
            return code
        scratch = self._scratch[name]
        again = instruction("local.get", scratch)
        code += instruction("local.tee", scratch) + constant(name, CANONICAL_NAN[name])
        return code + again + again + instruction(f"{name}.eq") + instruction("select")

    def _address(self, depth: int) -> tuple[bytes, int]:
        """An address and an offset: mostly inside of the memory, where they find what others stored."""
        match self._source.randrange(24):
            case 0:
                return self._value("i32", depth), self._source.choice((0, 1, PAGE, 0x7FFFFFFF, 0xFFFFFFFF))
            case 1:
                return constant("i32", PAGE - self._source.randrange(10)), self._source.randrange(4)
            case 2:
                return constant("i32", self._source.randrange(200)), self._source.randrange(100)
        return self._value("i32", depth) + constant("i32", 0x7F) + instruction(
            "i32.and"
        ), self._source.randrange(60)

    def _load(self, name: str, depth: int) -> bytes:
        row = self._source.choice(_LOADS[name])
        address, offset = self._address(depth)
        return address + instruction(row.name, (self._alignment(row), offset))

    def _alignment(self, row: Instruction) -> int:
        return self._source.randrange(row.access.size.bit_length())

    def _atomic(self, name: str, depth: int) -> bytes:
        """An atomic access that gives a value; seldom a wait, which traps, since the memory is not shared."""
        if name not in _ATOMIC_VALUES:
            return self._value(name, depth)
        rows = _WAITS if name == "i32" and self._source.randrange(40) == 0 else _ATOMIC_VALUES[name]
        return self._atomic_access(self._source.choice(rows), depth)

    def _atomic_access(self, row: Instruction, depth: int) -> bytes:
        """The access with its operands, mostly at a multiple of its width."""
        width = row.access.size
        if self._source.randrange(16) == 0:
            address, offset = self._address(depth)
        else:
            address = self._value("i32", depth) + constant("i32", 0x78) + instruction("i32.and")
            offset = width * self._source.randrange(8)
        operands = b"".join(self._value(operand.name, depth) for operand in row.parameters[1:])
        return address + operands + instruction(row.name, (width.bit_length() - 1, offset))

    def _state(self, name: str, depth: int) -> bytes:
        if name != "i32":
            return self._value(name, depth)
        match self._source.randrange(5):
            case 0:
                return instruction("memory.size", 0)
            case 1:
                delta = constant("i32", self._source.choice((0, 0, 1, 2, 0xFFFFFFFF)))
                return delta + instruction("memory.grow", 0)
            case 2:
                return instruction("table.size", 0)
            case 3:
                function = self._source.randrange(len(self._shape.signatures))
                grown = instruction("ref.func", function) + constant("i32", self._source.randrange(3))
                return grown + instruction("table.grow", 0)
        return self._table_index(depth) + instruction("table.get", 0) + instruction("ref.is_null")

    def _table_index(self, depth: int) -> bytes:
        if self._source.randrange(12) == 0:
            return self._value("i32", depth)
        return self._value("i32", depth) + constant("i32", TABLE_SIZE - 1) + instruction("i32.and")

    def _call(self, name: str, depth: int) -> bytes:
        """A call, direct or indirect, of a function that gives such a value among others."""
        signatures = self._shape.signatures
        candidates = [index for index, (_, results) in enumerate(signatures) if name in results]
        if not candidates:
            return self._value(name, depth)
        index = self._source.choice(candidates)
        parameters, results = signatures[index]
        code = b"".join(self._value(parameter, depth) for parameter in parameters)
        if self._source.randrange(2):
            code += instruction("call", index)
        else:
            code += self._table_index(0) + instruction(
                "call_indirect", self._encoder.type(signatures[index]), 0
            )
        return code + self._keep_one(results, name)

    def _keep_one(self, types: Sequence[str], name: str) -> bytes:
        """Pop values of these types into locals and push one of type `name`."""
        code = b""
        kept = None
        for popped in reversed(types):
            index = self._local(popped)
            code += instruction("local.set", index)
            kept = index if popped == name else kept
        return code + instruction("local.get", kept)

    # Structured control.

    def _block_type(self, parameters: tuple[str, ...], results: tuple[str, ...]) -> int | str | None:
        if not parameters and len(results) <= 1 and self._source.randrange(4):
            return results[0] if results else None
        return self._encoder.type((parameters, results))

    def _structured(self, results: tuple[str, ...], depth: int) -> bytes:
        """A block, loop or if with these results and any parameters."""
        parameters = _types(self._source, 2) if self._source.randrange(3) == 0 else ()
        block_type = self._block_type(parameters, results)
        code = b"".join(self._value(name, depth) for name in parameters)
        match self._source.randrange(3):
            case 0:
                code += instruction("block", block_type)
                code += self._inside(results, parameters, results, depth)
            case 1:
                code += self._value("i32", depth) + instruction("if", block_type)
                code += self._inside(results, parameters, results, depth)
                code += instruction("else") + self._inside(results, parameters, results, depth)
            case 2:
                code += instruction("loop", block_type)
                code += self._loop_inside(parameters, results, depth)
        return code + instruction("end")

    def _inside(
        self, label: tuple[str, ...], parameters: tuple[str, ...], results: tuple[str, ...], depth: int
    ) -> bytes:
        """A block's inside: takes its parameters, does something, gives its results."""
        code = b"".join(instruction("local.set", self._local(name)) for name in reversed(parameters))
        self._labels.append(label)
        for _ in range(self._source.randrange(3)):
            code += self._statement(depth - 1)
        code += self._values(results, depth - 1)
        self._labels.pop()
        return code

    def _loop_inside(self, parameters: tuple[str, ...], results: tuple[str, ...], depth: int) -> bytes:
        """A loop's inside; each way back to it burns fuel at its head, the way at its end leaves some."""
        code = b"".join(instruction("local.set", self._local(name)) for name in reversed(parameters))
        code += self._burn_fuel_or_trap()
        self._labels.append(parameters)
        for _ in range(self._source.randrange(1, 3)):
            code += self._statement(depth - 1)
        code += b"".join(self._value(name, depth - 1) for name in parameters)
        code += self._get_fuel() + constant("i32", FUEL // 3) + instruction("i32.gt_s")
        code += self._value("i32", depth - 1) + instruction("i32.and") + instruction("br_if", 0)
        code += instruction("drop") * len(parameters)
        code += self._values(results, depth - 1)
        self._labels.pop()
        return code

    def _label(self, fits: Sequence[int]) -> int:
        """One of these positions in the list of labels, as an index from the innermost."""
        return len(self._labels) - 1 - self._source.choice(fits)

    def _branch_if_with_value(self, name: str, depth: int) -> bytes:
        """`br_if` that carries a value on when it does not branch."""
        fits = [at for at in range(len(self._labels)) if self._labels[at] == (name,)]
        if not fits:
            return self._value(name, depth)
        label = self._label(fits)
        return self._value(name, depth) + self._value("i32", depth) + instruction("br_if", label)

    # Statements.

    def _statement(self, depth: int) -> bytes:
        self._nodes -= 1
        if depth <= 0 or self._nodes <= 0:
            name = self._source.choice(NUMBERS)
            return self._leaf(name) + instruction("local.set", self._local(name))
        (make,) = self._source.choices(list(_STATEMENTS), list(_STATEMENTS.values()))
        return make(self, depth)

    def _set_local(self, depth: int) -> bytes:
        name = self._source.choice(NUMBERS)
        return self._value(name, depth) + instruction("local.set", self._local(name))

    def _set_global(self, depth: int) -> bytes:
        name = self._source.choice(NUMBERS)
        return self._value(name, depth) + instruction("global.set", 1 + NUMBERS.index(name))

    def _store(self, depth: int) -> bytes:
        row = self._source.choice(_STORES)
        address, offset = self._address(depth - 1)
        value = self._value(row.parameters[1].name, depth)
        return address + value + instruction(row.name, (self._alignment(row), offset))

    def _atomic_statement(self, depth: int) -> bytes:
        if self._source.randrange(8) == 0:
            return instruction("atomic.fence", 0)
        return self._atomic_access(self._source.choice(_ATOMIC_STORES), depth - 1)

    def _dropped(self, depth: int) -> bytes:
        results = _types(self._source, 2)
        return self._values(results, depth) + instruction("nop") + instruction("drop") * len(results)

    def _structured_statement(self, depth: int) -> bytes:
        results = _types(self._source, 2)
        return self._structured(results, depth - 1) + instruction("drop") * len(results)

    def _conditional_branch(self, depth: int) -> bytes:
        """`br_if`, or under a condition a `br_table` to labels that take the same values."""
        at = self._source.randrange(len(self._labels))
        types = self._labels[at]
        if self._source.randrange(2):
            code = b"".join(self._value(name, depth) for name in types) + self._value("i32", depth)
            return code + instruction("br_if", len(self._labels) - 1 - at) + instruction("drop") * len(types)
        same = [other for other in range(len(self._labels)) if self._labels[other] == types]
        labels = [self._label(same) for _ in range(self._source.randrange(1, 4))]
        code = self._value("i32", depth) + instruction("if", None)
        code += b"".join(self._value(name, 0) for name in types) + self._value("i32", 0)
        return code + instruction("br_table", [label + 1 for label in labels]) + instruction("end")

    def _guarded_exit(self, depth: int) -> bytes:
        """Under a condition: a return, a branch or `unreachable`, with dead code behind."""
        code = (
            self._value("i32", depth)
            + self._value("i32", depth)
            + instruction("i32.eq")
            + instruction("if", None)
        )
        self._labels.append(())
        match self._source.randrange(4):
            case 0:
                code += instruction("unreachable")
            case 1:
                at = self._source.randrange(len(self._labels))
                code += b"".join(self._value(name, depth) for name in self._labels[at])
                code += instruction("br", len(self._labels) - 1 - at)
            case _:
                code += self._value("i64", 0) + b"".join(
                    self._value(name, depth) for name in self._signature[1]
                )
                code += instruction("return")
        for _ in range(self._source.randrange(2)):
            code += self._statement(depth)
        self._labels.pop()
        return code + instruction("end")

    def _range(self) -> bytes:
        """Three operands of a bulk operation: small numbers, seldom any."""
        if self._source.randrange(8) == 0:
            return b"".join(self._leaf("i32") for _ in range(3))
        return b"".join(constant("i32", self._source.randrange(24)) for _ in range(3))

    def _bulk(self, _depth: int) -> bytes:
        match self._source.randrange(4):
            case 0:
                return self._range() + instruction("memory.copy", 0, 0)
            case 1:
                return self._range() + instruction("memory.fill", 0)
            case 2:
                return self._range() + instruction("memory.init", 1, 0)
        return instruction("data.drop", 1) if self._source.randrange(6) == 0 else b""

    def _table_change(self, depth: int) -> bytes:
        few = b"".join(constant("i32", self._source.randrange(4)) for _ in range(3))
        match self._source.randrange(6):
            case 0:
                return few + instruction("table.copy", 0, 0)
            case 1:
                return few + instruction("table.init", 1, 0)
            case 2:
                return instruction("elem.drop", 1) if self._source.randrange(6) == 0 else b""
            case 3:
                start, count = self._source.randrange(TABLE_SIZE), self._source.randrange(3)
                filled = constant("i32", start) + self._reference() + constant("i32", count)
                return filled + instruction("table.fill", 0)
        return self._table_index(depth) + self._reference() + instruction("table.set", 0)

    def _reference(self) -> bytes:
        if self._source.randrange(5) == 0:
            return instruction("ref.null", "funcref")
        return instruction("ref.func", self._source.randrange(len(self._shape.signatures)))


_VALUES = {
    _FunctionGenerator._leaf: 3,
    _FunctionGenerator._numeric: 8,
    _FunctionGenerator._load: 2,
    _FunctionGenerator._atomic: 1,
    _FunctionGenerator._structured_value: 2,
    _FunctionGenerator._select: 1,
    _FunctionGenerator._tee: 1,
    _FunctionGenerator._call: 1,
    _FunctionGenerator._branch_if_with_value: 1,
    _FunctionGenerator._state: 1,
}
"""What gives a value of a type, and how often."""

_STATEMENTS = {
    _FunctionGenerator._set_local: 4,
    _FunctionGenerator._set_global: 2,
    _FunctionGenerator._store: 4,
    _FunctionGenerator._atomic_statement: 1,
    _FunctionGenerator._structured_statement: 4,
    _FunctionGenerator._conditional_branch: 2,
    _FunctionGenerator._bulk: 1,
    _FunctionGenerator._table_change: 1,
    _FunctionGenerator._dropped: 1,
    _FunctionGenerator._guarded_exit: 1,
}
"""What does something, and how often."""
