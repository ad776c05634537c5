"""Where the sections of a module stand, for those who show modules."""

from __future__ import annotations

from dataclasses import dataclass

from farcall.engine.binary.decoder import SECTION_NAMES
from farcall.engine.binary.reader import Reader

_HEADER_SIZE = 8


@dataclass(frozen=True, slots=True)
class SectionHeader:
    """A section (section 5.5.2): its content is bytes `start` to `end` of the module."""

    id: int
    name: str
    start: int
    end: int


def section_headers(source: bytes) -> list[SectionHeader]:
    """The sections of a module that decodes, in the order of the bytes; custom sections are called `custom`."""
    reader = Reader(source, _HEADER_SIZE)
    headers = []
    while reader.position < len(source):
        section_id = reader.byte()
        size = reader.u32()
        start = reader.position
        headers.append(SectionHeader(section_id, SECTION_NAMES[section_id], start, start + size))
        reader.position = start + size
    return headers
