"""The format of entries: a header, a table of sections, the sections.

::

    header    magic, version, count of sections, size of all, cache key, authentication code
    table     for each section: kind, level, offset, size; levels are of code
    sections  metadata; notes; for each image its table of functions; for each image its code, at a page boundary

All numbers are little-endian. The code is over everything else, the key included: an entry under another's name is
refused. Code stands at page boundaries, so that it can be mapped from the file.
"""

from __future__ import annotations

import mmap
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from farcall.engine.cache.authentication import MAC_BYTES, Authenticator
from farcall.engine.cache.place import Content
from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import FileRange, Image

_MAGIC = b"farcall\x00"
VERSION = 3
_KEY_BYTES = 32
_HEADER = struct.Struct(f"<8sIIQ{_KEY_BYTES}s")
_SECTION = struct.Struct("<IIQQ")
_COUNTS = struct.Struct("<QQ")
_MAC_END = _HEADER.size + MAC_BYTES

_METADATA, _FUNCTIONS, _CODE, _NOTES = 1, 2, 3, 4
_ALIGNMENT = 16


class ContainerError(Exception):
    """The bytes are no entry, or not the one that was asked for."""


@dataclass(frozen=True, slots=True)
class ModuleEntry:
    """What an entry holds.

    Attributes:
        metadata: a decoded module in the form of `module_codec`; None where there is only code.
        images: compiled code.
        levels: of each image, how good its code is, as who keeps it counts that; where none is given, 0.
        notes: what who keeps it has to say beside.
    """

    metadata: bytes | memoryview | None = None
    images: tuple[Image, ...] = ()
    levels: tuple[int, ...] = ()
    notes: bytes | memoryview = b""


def write_module(entry: ModuleEntry, key: str, authenticator: Authenticator) -> bytes:
    """The bytes of an entry.

    Parameters:
        key: what it is kept under: 64 hexadecimal digits.
    """
    sections: list[tuple[int, int, bytes | memoryview]] = []
    if entry.metadata is not None:
        sections.append((_METADATA, 0, entry.metadata))
    if entry.notes:
        sections.append((_NOTES, 0, entry.notes))
    sections.extend((_FUNCTIONS, 0, _pack_functions(image.functions)) for image in entry.images)
    levels = entry.levels or (0,) * len(entry.images)
    sections.extend((_CODE, level, image.content) for level, image in zip(levels, entry.images, strict=True))
    position = _MAC_END + _SECTION.size * len(sections)
    table = bytearray()
    parts: list[bytes | memoryview] = []
    for kind, level, content in sections:
        padding = -position % (mmap.PAGESIZE if kind == _CODE else _ALIGNMENT)
        parts.extend((bytes(padding), content))
        position += padding
        table += _SECTION.pack(kind, level, position, len(content))
        position += len(content)
    header = _HEADER.pack(_MAGIC, VERSION, len(sections), position, bytes.fromhex(key))
    parts.insert(0, bytes(table))  # of `bytes` alone, joining lets other threads run
    return b"".join((header, authenticator.code(header, *parts), *parts))


def read_module(content: Content, key: str, authenticator: Authenticator) -> ModuleEntry:
    """An entry from its bytes, which are authenticated first. Nothing is copied but the tables.

    Raises:
        ContainerError: they are not what `write_module` made with the same two keys.
    """
    data = memoryview(content.data)
    if len(data) < _MAC_END:
        raise ContainerError(f"{len(data)} bytes are no entry")
    magic, version, count, size, found_key = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != VERSION:
        raise ContainerError("of another format or version")
    if size != len(data):
        raise ContainerError(f"{len(data)} bytes of {size}")
    if found_key != bytes.fromhex(key):
        raise ContainerError("the entry of another key")
    if not authenticator.is_right(data[_HEADER.size : _MAC_END], data[: _HEADER.size], data[_MAC_END:]):
        raise ContainerError("the authentication code is wrong")
    return _read_sections(content, data, count)


def _read_sections(content: Content, data: memoryview, count: int) -> ModuleEntry:
    end = _MAC_END + _SECTION.size * count
    if end > len(data):
        raise ContainerError("the table of sections is cut off")
    metadata: memoryview | None = None
    notes: bytes | memoryview = b""
    functions, code, levels = [], [], []
    for kind, level, offset, size in _SECTION.iter_unpack(data[_MAC_END:end]):
        if offset < end or offset + size > len(data):
            raise ContainerError("a section lies outside")
        section = data[offset : offset + size]
        if kind == _METADATA:
            metadata = section
        elif kind == _NOTES:
            notes = section
        elif kind == _FUNCTIONS:
            functions.append(_unpack_functions(section))
        elif kind == _CODE:
            file = None if content.file is None else FileRange(content.file, offset)
            code.append((section, file))
            levels.append(level)
        else:
            raise ContainerError(f"a section of unknown kind {kind}")
    if len(functions) != len(code):
        raise ContainerError(f"{len(code)} images with {len(functions)} tables of functions")
    images = []
    for table, (section, file) in zip(functions, code, strict=True):
        try:
            table.check(len(section))
        except ValueError as error:
            raise ContainerError(str(error)) from None
        images.append(Image(section, table, file))
    return ModuleEntry(metadata, tuple(images), tuple(levels), notes)


def _pack_functions(functions: Sequence[tuple[int, int, str]]) -> bytes:
    table = FunctionTable.of(functions)
    columns = (table.offsets, table.sizes, table.indices, table.tails)
    return b"".join(
        (
            _COUNTS.pack(len(table), len(table.tails)),
            *(_little_endian(column).tobytes() for column in columns),
        )
    )


def _unpack_functions(section: memoryview) -> FunctionTable:
    if len(section) < _COUNTS.size:
        raise ContainerError("a table of functions is cut off")
    count, tails = _COUNTS.unpack_from(section)
    lengths = (("Q", count), ("Q", count), ("I", count), ("I", tails))
    columns = []
    position = _COUNTS.size
    for kind, length in lengths:
        column = array(kind)
        end = position + column.itemsize * length
        if end > len(section):
            raise ContainerError("a table of functions is cut off")
        column.frombytes(section[position:end])
        columns.append(_little_endian(column))
        position = end
    if position != len(section):
        raise ContainerError("a table of functions has the wrong size")
    return FunctionTable(*columns)


def _little_endian(numbers: array[int]) -> array[int]:
    """Numbers of the machine's order in that of entries, or the other way round."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
