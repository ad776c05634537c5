"""Integer lanes compute what Python computes, with the machine's templates and with those for any machine."""

from __future__ import annotations

import math
import random
import struct

import pytest
import wasmtime

from farcall.engine import Engine, Store
from farcall.engine.codegen.target import Target, host_target

SHAPES = {"i8x16": (8, 16), "i16x8": (16, 8), "i32x4": (32, 4), "i64x2": (64, 2)}


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def clamp_signed(value: int, bits: int) -> int:
    return clamp(value, -(1 << bits - 1), (1 << bits - 1) - 1)


def clamp_unsigned(value: int, bits: int) -> int:
    return clamp(value, 0, (1 << bits) - 1)


def lanes(vector: bytes, bits: int, sign: str = "u") -> list[int]:
    size = bits // 8
    return [int.from_bytes(vector[at : at + size], "little", signed=sign == "s") for at in range(0, 16, size)]


def vector(values: list[int], bits: int) -> bytes:
    return b"".join((value & (1 << bits) - 1).to_bytes(bits // 8, "little") for value in values)


def lane_by_lane(bits, sign, compute):
    """From a function of lanes to one of vectors."""
    return lambda *operands: vector(
        [compute(*each) for each in zip(*(lanes(operand, bits, sign) for operand in operands), strict=True)],
        bits,
    )


def models():
    """By instruction: what it does with two vectors, or one."""
    found = {
        "i16x8.q15mulr_sat_s": lane_by_lane(16, "s", lambda a, b: clamp_signed(a * b + 0x4000 >> 15, 16)),
        "i8x16.popcnt": lane_by_lane(8, "u", int.bit_count),
        "i8x16.swizzle": lambda a, b: bytes(a[index] if index < 16 else 0 for index in b),
        "i32x4.dot_i16x8_s": lambda a, b: vector(sums_of_pairs(products(a, b, 16, "s")), 32),
        "v128.andnot": lane_by_lane(8, "u", lambda a, b: a & ~b),
        "v128.xor": lane_by_lane(8, "u", lambda a, b: a ^ b),
    }
    for shape, (bits, _) in SHAPES.items():
        found |= {
            f"{shape}.add": lane_by_lane(bits, "u", lambda a, b: a + b),
            f"{shape}.sub": lane_by_lane(bits, "u", lambda a, b: a - b),
            f"{shape}.abs": lane_by_lane(bits, "s", abs),
            f"{shape}.neg": lane_by_lane(bits, "s", lambda a: -a),
        }
        if shape != "i8x16":
            found[f"{shape}.mul"] = lane_by_lane(bits, "u", lambda a, b: a * b)
        comparisons = {"lt": "__lt__", "gt": "__gt__", "le": "__le__", "ge": "__ge__"}
        for sign in "su":
            if shape == "i64x2" and sign == "u":
                continue
            for name, method in comparisons.items():
                found[f"{shape}.{name}_{sign}"] = lane_by_lane(
                    bits, sign, lambda a, b, method=method: -getattr(a, method)(b)
                )
            if shape != "i64x2":
                found[f"{shape}.min_{sign}"] = lane_by_lane(bits, sign, min)
                found[f"{shape}.max_{sign}"] = lane_by_lane(bits, sign, max)
        for name, differ in (("eq", False), ("ne", True)):
            found[f"{shape}.{name}"] = lane_by_lane(
                bits, "u", lambda a, b, differ=differ: -((a != b) == differ)
            )
        if bits <= 16:
            for sign, limit in (("s", clamp_signed), ("u", clamp_unsigned)):
                found[f"{shape}.add_sat_{sign}"] = lane_by_lane(
                    bits, sign, lambda a, b, limit=limit, bits=bits: limit(a + b, bits)
                )
                found[f"{shape}.sub_sat_{sign}"] = lane_by_lane(
                    bits, sign, lambda a, b, limit=limit, bits=bits: limit(a - b, bits)
                )
            found[f"{shape}.avgr_u"] = lane_by_lane(bits, "u", lambda a, b: a + b + 1 >> 1)
            found |= narrowing(shape, bits)
        if bits >= 16:
            found |= widening(shape, bits)
    return found


def products(a, b, bits, sign):
    return [x * y for x, y in zip(lanes(a, bits, sign), lanes(b, bits, sign), strict=True)]


def sums_of_pairs(values):
    return [first + second for first, second in zip(values[::2], values[1::2], strict=True)]


def narrowing(shape, bits):
    wide = {"i8x16": "i16x8", "i16x8": "i32x4"}[shape]
    return {
        f"{shape}.narrow_{wide}_{sign}": lambda a, b, limit=limit: vector(
            [limit(lane, bits) for lane in lanes(a, 2 * bits, "s") + lanes(b, 2 * bits, "s")], bits
        )
        for sign, limit in (("s", clamp_signed), ("u", clamp_unsigned))
    }


def widening(shape, bits):
    narrow, half = {"i16x8": "i8x16", "i32x4": "i16x8", "i64x2": "i32x4"}[shape], bits // 2
    count = 128 // bits
    found = {}
    for sign in "su":
        for which, part in (("low", slice(count)), ("high", slice(count, None))):
            found[f"{shape}.extend_{which}_{narrow}_{sign}"] = lambda a, part=part, sign=sign: vector(
                lanes(a, half, sign)[part], bits
            )
            found[f"{shape}.extmul_{which}_{narrow}_{sign}"] = lambda a, b, part=part, sign=sign: vector(
                products(a, b, half, sign)[part], bits
            )
        if bits <= 32:
            found[f"{shape}.extadd_pairwise_{narrow}_{sign}"] = lambda a, sign=sign: vector(
                sums_of_pairs(lanes(a, half, sign)), bits
            )
    return found


MODELS = models()


def random_vector(source: random.Random) -> bytes:
    """Lanes of some width, of random values and of those at the ends of ranges."""
    bits = source.choice((8, 16, 32, 64))
    ends = [0, 1, -1, (1 << bits - 1) - 1, -(1 << bits - 1), 1 << bits // 2, (1 << bits // 2) - 1]
    return vector(
        [source.choice((source.getrandbits(bits), source.choice(ends))) for _ in range(128 // bits)], bits
    )


@pytest.fixture(params=["the machine's", "any machine's"])
def instantiate_for(request, monkeypatch):
    """Instantiate a module's text, compiled with the one kind of templates or the other."""
    if request.param == "any machine's":
        host = host_target()
        monkeypatch.setattr("farcall.engine.engine.host_target", lambda: Target(host.triple, host.cpu, ""))
    with Engine() as engine, Store(engine) as store:
        yield lambda text: store.instantiate(engine.load_module(bytes(wasmtime.wat2wasm(text))))


def test_integer_lanes(instantiate_for):
    unary = {name for name, model in MODELS.items() if is_unary(model)}
    functions = "".join(
        f'(func (export "{name}") (param v128{"" if name in unary else " v128"}) (result v128)'
        f" ({name} (local.get 0) {'' if name in unary else '(local.get 1)'}))"
        for name in MODELS
    )
    instance = instantiate_for(f"(module {functions})")
    source = random.Random(1)
    for name, model in MODELS.items():
        function = instance.function(name)
        for _ in range(40):
            operands = [random_vector(source) for _ in range(1 if name in unary else 2)]
            if source.random() < 0.2:
                operands = operands[:1] * len(operands)
            assert function(*operands) == model(*operands), (name, operands)


def is_unary(model) -> bool:
    try:
        model(bytes(16))
    except TypeError:
        return False
    return True


def test_shifts_take_the_count_modulo_the_width(instantiate_for):
    operations = {
        "shl": ("u", int.__lshift__),
        "shr_s": ("s", int.__rshift__),
        "shr_u": ("u", int.__rshift__),
    }
    functions = "".join(
        f'(func (export "{shape}.{name}") (param v128 i32) (result v128)'
        f" ({shape}.{name} (local.get 0) (local.get 1)))"
        for shape in SHAPES
        for name in operations
    )
    instance = instantiate_for(f"(module {functions})")
    source = random.Random(2)
    for shape, (bits, _) in SHAPES.items():
        for name, (sign, shift) in operations.items():
            function = instance.function(f"{shape}.{name}")
            for count in (0, 1, bits // 2, bits - 1, bits, bits + 3, -1, 2**31 - 1, -(2**31)):
                operand = random_vector(source)
                expected = vector([shift(lane, count % bits) for lane in lanes(operand, bits, sign)], bits)
                assert function(operand, count) == expected, (shape, name, count, operand)


def test_tests_of_all_lanes(instantiate_for):
    functions = "".join(
        f'(func (export "{shape}") (param v128) (result i32 i32)'
        f" ({shape}.all_true (local.get 0)) ({shape}.bitmask (local.get 0)))"
        for shape in SHAPES
    )
    any_true = '(func (export "any") (param v128) (result i32) (v128.any_true (local.get 0)))'
    instance = instantiate_for(f"(module {functions} {any_true})")
    source = random.Random(3)
    for shape, (bits, count) in SHAPES.items():
        samples = [random_vector(source) for _ in range(40)] + [b"\1" * 16, bytes(16), b"\xff" * 16]
        samples += [vector([0] * at + [1 << bits - 1] + [0] * (count - at - 1), bits) for at in range(count)]
        for sample in samples:
            found = lanes(sample, bits, "s")
            mask = sum((lane < 0) << position for position, lane in enumerate(found))
            assert instance.function(shape)(sample) == (all(found), mask), (shape, sample)
            assert instance.function("any")(sample) == any(found)


def test_every_lane_is_extracted_and_replaced(instantiate_for):
    kinds = [("i8x16", "_s"), ("i8x16", "_u"), ("i16x8", "_s"), ("i16x8", "_u"), ("i32x4", ""), ("i64x2", "")]
    functions = "".join(
        f'(func (export "{shape}{sign}{lane}") (param v128 {value(shape)})'
        f" (result v128 {value(shape)}) ({shape}.replace_lane {lane} (local.get 0) (local.get 1))"
        f" ({shape}.extract_lane{sign} {lane} (local.get 0)))"
        for shape, sign in kinds
        for lane in range(SHAPES[shape][1])
    )
    instance = instantiate_for(f"(module {functions})")
    operand, new = bytes(range(0x79, 0x89)), -0x3C
    for shape, sign in kinds:
        bits, count = SHAPES[shape]
        for lane in range(count):
            replaced, extracted = instance.function(f"{shape}{sign}{lane}")(operand, new)
            expected = lanes(operand, bits)
            assert extracted == lanes(operand, bits, "u" if sign == "_u" else "s")[lane]
            expected[lane] = new
            assert replaced == vector(expected, bits)


def value(shape: str) -> str:
    return "i64" if shape == "i64x2" else "i32"


def test_shuffles_take_bytes_of_both_operands(instantiate_for):
    source = random.Random(4)
    masks = [[source.randrange(32) for _ in range(16)] for _ in range(20)]
    masks += [list(range(16)), list(range(16, 32)), [7] * 16, list(range(15, -1, -1)), list(range(8, 24))]
    functions = "".join(
        f'(func (export "{position}") (param v128 v128) (result v128)'
        f" (i8x16.shuffle {' '.join(map(str, mask))} (local.get 0) (local.get 1)))"
        for position, mask in enumerate(masks)
    )
    instance = instantiate_for(f"(module {functions})")
    a, b = random_vector(source), random_vector(source)
    for position, mask in enumerate(masks):
        assert instance.function(str(position))(a, b) == bytes((a + b)[index] for index in mask)


def test_truncations_saturate(instantiate_for):
    floats = [
        0.0,
        -0.0,
        1.9,
        -1.9,
        2.0**31,
        -(2.0**31),
        2.0**31 - 128,
        2.0**32,
        2.0**32 - 256,
        3e9,
        -1e30,
        1e30,
    ]
    floats += [
        float("inf"),
        float("-inf"),
        float("nan"),
        -float("nan"),
        0.999,
        -0.999,
        4294967295.0,
        2147483647.0,
    ]
    functions = "".join(
        f'(func (export "{name}") (param v128) (result v128) (i32x4.trunc_sat_{name} (local.get 0)))'
        for name in ("f32x4_s", "f32x4_u", "f64x2_s_zero", "f64x2_u_zero")
    )
    instance = instantiate_for(f"(module {functions})")

    def truncated(number: float, sign: str) -> int:
        if math.isnan(number):
            return 0
        limit = clamp_signed if sign == "s" else clamp_unsigned
        finite = max(min(number, 1e20), -1e20)
        return limit(int(finite), 32)

    for sign in "su":
        for at in range(0, len(floats), 4):
            four = struct.pack("<4f", *floats[at : at + 4])
            expected = vector([truncated(number, sign) for number in struct.unpack("<4f", four)], 32)
            assert instance.function(f"f32x4_{sign}")(four) == expected, floats[at : at + 4]
        for at in range(0, len(floats), 2):
            two = struct.pack("<2d", *floats[at : at + 2])
            expected = vector([truncated(number, sign) for number in floats[at : at + 2]] + [0, 0], 32)
            assert instance.function(f"f64x2_{sign}_zero")(two) == expected, floats[at : at + 2]
