"""The export and start sections (sections 5.5.10 and 5.5.11)."""

from __future__ import annotations

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.import_section import read_extern_kind
from farcall.engine.binary.limits import MAXIMUM_EXPORTS
from farcall.engine.binary.reader import Reader
from farcall.engine.structure.module import Export


def decode_export_section(reader: Reader, contents: Contents) -> None:
    """Read the exports."""
    for _ in range(reader.count("exports", MAXIMUM_EXPORTS)):
        start = reader.position
        name = reader.name()
        kind = read_extern_kind(reader, "export")
        contents.exports.append(Export(name, kind, reader.u32(), start))


def decode_start_section(reader: Reader, contents: Contents) -> None:
    """Read the index of the start function."""
    contents.start_offset = reader.position
    contents.start = reader.u32()
