"""Modules with something wrong with them, most of the time."""

from __future__ import annotations

import random

SMALLEST_DAMAGED = 12
"""Bytes that a module must have."""

TELLING_BYTES = bytes.fromhex(
    "00 01 02 03 04 05 06 07 08 0a 0b 0c 0d 0e 0f 10 11 12 13 1f 1a 1b 1c 20 21 22 23 24 28 36 3f 40 41 42 43 44 "
    "60 6f 70 7b 7c 7d 7e 7f 80 d0 d1 d2 fc fe ff"
)


def damaged(source: random.Random, module: bytes) -> bytes:
    """The module with one to three bytes changed, swapped, dropped or doubled, behind its header."""
    content = bytearray(module)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        at = source.randrange(8, len(content) - 1)
        match source.randrange(8):
            case 0:
                content[at] = source.randrange(256)
            case 1:
                content[at] ^= 1 << source.randrange(8)
            case 2 | 3:
                content[at] = source.choice(TELLING_BYTES)
            case 4:
                content[at] = content[at] + source.choice((-1, 1)) & 0xFF
            case 5:
                content[at], content[at + 1] = content[at + 1], content[at]
            case 6:
                content[at] = content[source.randrange(8, len(content))]
            case 7:
                content[at : at + 1] = source.choice((b"", bytes(content[at : at + 1]) * 2))
    return bytes(content)
