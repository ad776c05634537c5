"""Integers in LEB128 (section 5.2.2).

Every function here takes bytes and a position and returns the value and the position after it. An
`IndexError` means that the bytes end inside of the integer; whoever knows the module turns it into an error.
"""

from __future__ import annotations

from farcall.engine.errors import MalformedModuleError


def read_u32(source: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned 32-bit integer."""
    byte = source[position]
    if byte < 0x80:
        return byte, position + 1
    return read_unsigned(source, position, 32)


def read_u64(source: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned 64-bit integer."""
    byte = source[position]
    if byte < 0x80:
        return byte, position + 1
    return read_unsigned(source, position, 64)


def read_s32(source: bytes, position: int) -> tuple[int, int]:
    """Read a signed 32-bit integer."""
    byte = source[position]
    if byte < 0x80:
        return (byte if byte < 0x40 else byte - 0x80), position + 1
    return read_signed(source, position, 32)


def read_s33(source: bytes, position: int) -> tuple[int, int]:
    """Read a signed 33-bit integer: block types need one bit more than an index has."""
    return read_signed(source, position, 33)


def read_s64(source: bytes, position: int) -> tuple[int, int]:
    """Read a signed 64-bit integer."""
    byte = source[position]
    if byte < 0x80:
        return (byte if byte < 0x40 else byte - 0x80), position + 1
    return read_signed(source, position, 64)


def read_unsigned(source: bytes, position: int, bits: int) -> tuple[int, int]:
    """Read an unsigned integer of at most `bits` bits.

    Raises:
        MalformedModuleError: more bytes than the width allows, or a value out of range.
    """
    start = position
    value = shift = 0
    while shift < bits:
        byte = source[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if value >> bits:
            raise MalformedModuleError("integer too large", start)
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedModuleError("integer representation too long", start)


def read_signed(source: bytes, position: int, bits: int) -> tuple[int, int]:
    """Read a signed integer of at most `bits` bits.

    Raises:
        MalformedModuleError: more bytes than the width allows, or a value out of range.
    """
    start = position
    value = shift = 0
    while shift < bits:
        byte = source[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > bits:
            # The last byte that fits: what lies above the width must repeat the sign.
            above = value >> (bits - 1)
            if above not in (0, (1 << (shift - bits + 1)) - 1):
                raise MalformedModuleError("integer too large", start)
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), position
    raise MalformedModuleError("integer representation too long", start)
