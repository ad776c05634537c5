"""Modules changed in ways that know the format: beside single bytes, counts, sections, bodies and their sizes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .damage import SMALLEST_DAMAGED, damaged
from .module_encoder import section, signed, unsigned

HEADER = b"\0asm\1\0\0\0"
_CODE_SECTION = 10

LARGEST_MUTANT = 1 << 16
"""Bytes: what doubles again and again would grow beyond all measure."""

_TELLING_NUMBERS = (0x7F, 0x80, 1000, 1001, 10_000, 50_001, 100_001, 1_000_001, 10_000_001, 2**31, 2**32 - 1)
_TELLING_NUMBERS_64 = (2**32, 2**48, 2**63, 2**64 - 1)

_TELLING_LEB128 = (
    *(unsigned(number) for number in (*_TELLING_NUMBERS, *_TELLING_NUMBERS_64)),
    *(signed(number) for number in (-1, -64, -65, -(2**31), -(2**63))),
    b"\x80\x00",
    b"\xff\xff\xff\xff\x7f",
    b"\x80" * 4 + b"\x00",
    b"\x80" * 10 + b"\x00",
    b"\xff" * 20,
)
"""Counts beyond limits, numbers at the edges of their types, and encodings longer than they need to be or may be."""

_REPEATED = (
    b"\x02\x40", b"\x03\x40", b"\x41\x00\x04\x40", b"\x05", b"\x0b", b"\x1f\x40\x00", b"\x06\x40", b"\x19",
    b"\x00", b"\x01", b"\x1a", b"\x41\x00", b"\x42\x7f", b"\x20\x00", b"\xd0\x70", b"\x6a", b"\xfb\x1c", b"\x10\x00",
    b"\x41\x00\x0e\x00\x00", b"\xfd\x0c" + b"\x55" * 16, b"\x01\x7f", b"\x60\x00\x00", b"\x5e\x7f\x01", b"\x50\x00",
)  # fmt: skip
"""What stands many times in a row: blocks in blocks, operands, declarations."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section's id and content."""

    id: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Seed:
    """A module to be changed.

    Attributes:
        module: its bytes.
        sections: what it consists of; empty where it is no well-formed sequence of sections.
    """

    module: bytes
    sections: tuple[Section, ...]


def seed_of(module: bytes) -> Seed:
    """The module, taken apart."""
    return Seed(module, tuple(_sections(module)) if module.startswith(HEADER) else ())


def _sections(module: bytes) -> list[Section]:
    """The sections, or none where they do not fill the module."""
    found, position = [], len(HEADER)
    while position < len(module):
        number = module[position]
        size, start = _read_unsigned(module, position + 1)
        position = start + size
        found.append(Section(number, module[start:position]))
    return found if position == len(module) else []


def _read_unsigned(source: bytes, position: int) -> tuple[int, int]:
    """A number, and where it ends; what is cut off counts as its end."""
    value = shift = 0
    while position < len(source):
        byte = source[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, position


def mutant(source: random.Random, seeds: Sequence[Seed]) -> bytes:
    """One of the seeds, changed in one to three ways."""
    seed = source.choice(seeds)
    module = seed.module
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        if seed.sections and source.random() < 0.6:
            seed = seed_of(_encode(source.choice(_OF_SECTIONS)(source, seed.sections, seeds)))
            module = seed.module
        else:
            module = source.choice(_OF_BYTES)(source, module, seeds)
            seed = seed_of(module)
    return module[:LARGEST_MUTANT]


def _encode(sections: Sequence[Section]) -> bytes:
    return HEADER + b"".join(section(each.id, each.content) for each in sections)


# -- Changes of bytes --------------------------------------------------------------------------------------------------

_ChangeBytes = Callable[[random.Random, bytes, Sequence[Seed]], bytes]


def _with_damage(source: random.Random, module: bytes, _: Sequence[Seed]) -> bytes:
    return damaged(source, module) if len(module) >= SMALLEST_DAMAGED else module


def _with_telling_number(source: random.Random, content: bytes, _: Sequence[Seed]) -> bytes:
    """A number blown up, wherever it stands."""
    at = source.randrange(len(content) + 1)
    _, end = _read_unsigned(content, at)
    return content[:at] + source.choice(_TELLING_LEB128) + content[end:]


def _truncated(source: random.Random, content: bytes, _: Sequence[Seed]) -> bytes:
    return content[: source.randrange(len(content) + 1)]


def _spliced(source: random.Random, content: bytes, seeds: Sequence[Seed]) -> bytes:
    """The beginning of one module and the end of another."""
    other = source.choice(seeds).module
    return content[: source.randrange(len(content) + 1)] + other[source.randrange(len(other) + 1) :]


def _without_part(source: random.Random, content: bytes, _: Sequence[Seed]) -> bytes:
    start = source.randrange(len(content) + 1)
    return content[:start] + content[start + source.randrange(1, 9) :]


def _with_part_again(source: random.Random, content: bytes, _: Sequence[Seed]) -> bytes:
    start = source.randrange(len(content) + 1)
    part = content[start : start + source.randrange(1, 17)]
    return content[:start] + part * source.choice((2, 2, 3, 10, 100, 1000)) + content[start + len(part) :]


def _with_repetition(source: random.Random, content: bytes, _: Sequence[Seed]) -> bytes:
    at = source.randrange(len(content) + 1)
    return content[:at] + source.choice(_REPEATED) * source.choice((1, 2, 10, 100, 1000)) + content[at:]


_OF_BYTES: tuple[_ChangeBytes, ...] = (
    *(_with_damage, _with_damage, _with_damage, _with_telling_number, _truncated, _spliced),
    *(_without_part, _with_part_again, _with_repetition),
)


# -- Changes of sections, whose sizes are right afterwards -------------------------------------------------------------

_ChangeSections = Callable[[random.Random, Sequence[Section], Sequence[Seed]], Sequence[Section]]

_OF_CONTENT: tuple[_ChangeBytes, ...] = (
    *(_with_telling_number, _truncated, _without_part, _with_part_again, _with_repetition),
)


def _changed_content(source: random.Random, content: bytes, seeds: Sequence[Seed]) -> bytes:
    if source.getrandbits(1):
        return damaged(source, HEADER + content + b"\0\0\0\0")[len(HEADER) : -4]
    return source.choice(_OF_CONTENT)(source, content, seeds)


def _with_section_changed(
    source: random.Random, sections: Sequence[Section], seeds: Sequence[Seed]
) -> list[Section]:
    at = source.randrange(len(sections))
    changed = Section(sections[at].id, _changed_content(source, sections[at].content, seeds))
    return [*sections[:at], changed, *sections[at + 1 :]]


def _with_sections_swapped(
    source: random.Random, sections: Sequence[Section], _: Sequence[Seed]
) -> list[Section]:
    swapped = list(sections)
    first, second = source.randrange(len(sections)), source.randrange(len(sections))
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return swapped


def _with_section_copied(
    source: random.Random, sections: Sequence[Section], _: Sequence[Seed]
) -> list[Section]:
    at = source.randrange(len(sections) + 1)
    return [*sections[:at], source.choice(sections), *sections[at:]]


def _without_section(source: random.Random, sections: Sequence[Section], _: Sequence[Seed]) -> list[Section]:
    at = source.randrange(len(sections))
    return [*sections[:at], *sections[at + 1 :]]


def _with_section_of_another(
    source: random.Random, sections: Sequence[Section], seeds: Sequence[Seed]
) -> list[Section]:
    """A section of another module, in place of its like if there is one."""
    theirs = source.choice(seeds).sections
    if not theirs:
        return list(sections)
    chosen = source.choice(theirs)
    replaced = [chosen if each.id == chosen.id else each for each in sections]
    return replaced if chosen in replaced else [*sections, chosen]


def _with_body_changed(
    source: random.Random, sections: Sequence[Section], seeds: Sequence[Seed]
) -> list[Section]:
    """A function's body changed, or in place of it one of another module."""
    codes = [at for at, each in enumerate(sections) if each.id == _CODE_SECTION]
    bodies = _bodies(sections[codes[0]].content) if codes else []
    if not bodies:
        return _with_section_changed(source, sections, seeds)
    at = source.randrange(len(bodies))
    body = bodies[at]
    if source.random() < 0.2:
        others = [
            other
            for each in source.choice(seeds).sections
            if each.id == _CODE_SECTION
            for other in _bodies(each.content)
        ]
        body = source.choice(others) if others else body
    elif source.random() < 0.3 and body.endswith(b"\x0b"):
        # More code before the end, or at the front where there are no locals: it may well validate.
        where = source.choice((1, len(body) - 1)) if body[0] == 0 else len(body) - 1
        added = source.choice(_REPEATED) * source.choice((1, 1, 2, 10, 100, 1000))
        body = body[:where] + added + body[where:]
    else:
        body = _changed_content(source, body, seeds)
    bodies[at] = body
    content = unsigned(len(bodies)) + b"".join(unsigned(len(each)) + each for each in bodies)
    return [*sections[: codes[0]], Section(_CODE_SECTION, content), *sections[codes[0] + 1 :]]


def _bodies(content: bytes) -> list[bytes]:
    """The bodies in a code section, sizes left out; none where they do not fill it."""
    count, position = _read_unsigned(content, 0)
    bodies = []
    while position < len(content):
        size, start = _read_unsigned(content, position)
        position = start + size
        bodies.append(content[start:position])
    return bodies if count == len(bodies) and position == len(content) else []


_OF_SECTIONS: tuple[_ChangeSections, ...] = (
    *(_with_body_changed,) * 6,
    *(_with_section_changed,) * 3,
    *(_with_section_of_another,) * 2,
    *(_with_sections_swapped, _with_section_copied, _without_section),
)
"""Most often what comes furthest: into validation."""
