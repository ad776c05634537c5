"""The binary format from the writer's side, as far as tests need it; it knows nothing of the decoder."""

from __future__ import annotations

from collections.abc import Sequence

HEADER = b"\0asm\1\0\0\0"
NO_LOCALS = b"\0"


def unsigned(value: int, padding: int = 0) -> bytes:
    """LEB128 of an unsigned integer, with `padding` bytes more than it needs."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    groups += [0] * padding
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def signed(value: int, padding: int = 0) -> bytes:
    """LEB128 of a signed integer, with `padding` bytes more than it needs."""
    groups = [value & 0x7F]
    while not -0x40 <= value < 0x40:
        value >>= 7
        groups.append(value & 0x7F)
    groups += [0x7F if value < 0 else 0] * padding
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def vector(items: Sequence[bytes]) -> bytes:
    """Items after their number."""
    return unsigned(len(items)) + b"".join(items)


def name(text: str | bytes) -> bytes:
    """A name."""
    content = text.encode() if isinstance(text, str) else text
    return unsigned(len(content)) + content


def section(number: int, content: bytes) -> bytes:
    """A section."""
    return bytes([number]) + unsigned(len(content)) + content


def custom(title: str, content: bytes) -> bytes:
    """A custom section."""
    return section(0, name(title) + content)


def body(code: bytes, declared: bytes = NO_LOCALS) -> bytes:
    """An entry of the code section; `code` without its final `end`."""
    content = declared + code + b"\x0b"
    return unsigned(len(content)) + content


TYPE = section(1, b"\1\x60\0\0")
"""A type section: type 0 takes and returns nothing."""


def one_function(
    code: bytes, *, types: bytes = TYPE, between: bytes = b"", declared: bytes = NO_LOCALS, after: bytes = b""
) -> bytes:
    """A module of one function, of type 0; `between` are sections before its code, `after` those after it."""
    function = section(3, b"\1\0")
    return HEADER + types + function + between + section(10, vector([body(code, declared)])) + after
