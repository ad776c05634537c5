"""What the examples' functions compute, computed again in Python: the demo compares.

Floating point follows the C sources operation by operation, so that results are equal to the last bit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

SHADES = " .:-=+*#%@"


def f32(value: float) -> float:
    """The nearest 32-bit float."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def i64(value: int) -> int:
    """The signed integer with the same lowest 64 bits."""
    return (value & 0xFFFFFFFFFFFFFFFF) - ((value & 0x8000000000000000) << 1)


def mean(values: Sequence[float]) -> float:
    """`mean` of library.c."""
    total = 0.0
    for value in values:  # not sum(), which compensates rounding errors
        total += value
    return total / len(values)


def standard_deviation(values: Sequence[float]) -> float:
    """`standard_deviation` of library.c."""
    middle = mean(values)
    total = 0.0
    for value in values:
        total += (value - middle) * (value - middle)
    return math.sqrt(total / len(values))


def luminance(red: float, green: float, blue: float) -> float:
    """`luminance` of library.c, every step rounded to 32 bits."""
    parts = (f32(f32(0.2126) * red), f32(f32(0.7152) * green), f32(f32(0.0722) * blue))
    return f32(f32(parts[0] + parts[1]) + parts[2])


def checksum(data: bytes) -> int:
    """`checksum` of library.c: FNV-1a, as a signed integer."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return i64(value)


def blur(pixels: bytes, width: int, height: int) -> bytes:
    """`blur` of library.c."""
    blurred = bytearray()
    for y in range(height):
        for x in range(width):
            around = [
                pixels[v * width + u]
                for v in range(max(y - 1, 0), min(y + 2, height))
                for u in range(max(x - 1, 0), min(x + 2, width))
            ]
            blurred.append(sum(around) // len(around))
    return bytes(blurred)


def brightness(pixels: bytes) -> float:
    """`brightness` of application.c: all sums are whole numbers, and exact."""
    return sum(pixels) / len(pixels) / 255


def to_grey(colours: bytes) -> bytes:
    """`to_grey` of application.c."""
    return bytes(int(luminance(*colours[at : at + 3])) for at in range(0, len(colours), 3))


def row_as_text(row: bytes) -> str:
    """`row_as_text` of application.c."""
    return "".join(SHADES[pixel * len(SHADES) // 256] for pixel in row)
