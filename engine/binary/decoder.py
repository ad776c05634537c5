"""Modules (section 5.5): the header, and the sections in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from farcall.engine.binary.body_syntax import check_body_syntax
from farcall.engine.binary.code_section import check_function_count, decode_code_section, function_bodies
from farcall.engine.binary.contents import Contents
from farcall.engine.binary.custom_section import decode_custom_section, decode_names
from farcall.engine.binary.definition_sections import (
    decode_function_section,
    decode_global_section,
    decode_memory_section,
    decode_table_section,
    decode_tag_section,
)
from farcall.engine.binary.export_section import decode_export_section, decode_start_section
from farcall.engine.binary.import_section import decode_import_section
from farcall.engine.binary.instructions import UNEXPECTED_END
from farcall.engine.binary.limits import MAXIMUM_MODULE_SIZE
from farcall.engine.binary.reader import Reader
from farcall.engine.binary.segment_sections import (
    decode_data_count_section,
    decode_data_section,
    decode_element_section,
)
from farcall.engine.binary.type_section import decode_type_section
from farcall.engine.errors import MalformedModuleError, ModuleLimitError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import NONE_DISABLED, Features
from farcall.engine.structure.module import Module, Offsets

_MAGIC = b"\0asm"
_VERSION = b"\x01\0\0\0"
_COMPONENT_LAYER = 1

_CUSTOM = 0


@dataclass(frozen=True, slots=True)
class _Section:
    """A kind of section: its id, its name, and what reads its content."""

    id: int
    name: str
    decode: Callable[[Reader, Contents], None]


_IN_ORDER = (
    _Section(1, "type", decode_type_section),
    _Section(2, "import", decode_import_section),
    _Section(3, "function", decode_function_section),
    _Section(4, "table", decode_table_section),
    _Section(5, "memory", decode_memory_section),
    _Section(13, "tag", decode_tag_section),
    _Section(6, "global", decode_global_section),
    _Section(7, "export", decode_export_section),
    _Section(8, "start", decode_start_section),
    _Section(9, "element", decode_element_section),
    _Section(12, "data count", decode_data_count_section),
    _Section(10, "code", decode_code_section),
    _Section(11, "data", decode_data_section),
)
"""All but custom sections, which may stand anywhere."""

SECTION_NAMES = {_CUSTOM: "custom", **{section.id: section.name for section in _IN_ORDER}}
"""What the specification calls the section of an id."""

_PLACES = {section.id: (place, section) for place, section in enumerate(_IN_ORDER)}


def decode_module(source: bytes, disabled: Features = NONE_DISABLED) -> Module:
    """Decode a module; its function bodies are only located, and read by validation.

    Args:
        source: a module in the binary format.
        disabled: features that are switched off.

    Raises:
        MalformedModuleError: the bytes do not follow the format (specification, chapter 5).
        ModuleLimitError: the module goes beyond a limit of `binary.limits`.
        UnsupportedFeatureError: the module uses a feature that is not there or switched off.
    """
    source = bytes(source)
    if len(source) > MAXIMUM_MODULE_SIZE:
        raise ModuleLimitError(f"{len(source)} bytes, at most {MAXIMUM_MODULE_SIZE} are possible", 0)
    contents = Contents()
    reader = Reader(source, len(_MAGIC) + len(_VERSION), disabled)
    _check_header(source)
    try:
        _decode_sections(reader, contents)
        check_function_count(contents, len(source))
        _check_data_count(contents, len(source))
    except MalformedModuleError:
        for body in function_bodies(reader, contents):
            check_body_syntax(source, body, contents.data_count, disabled)
        raise
    return Module(
        source=source,
        digest=hashlib.sha256(source).hexdigest(),
        types=tuple([defined.composite for defined in reader.types]),
        imports=tuple(contents.imports),
        function_types=tuple(contents.function_types),
        functions=function_bodies(reader, contents),
        tables=tuple(contents.tables),
        memories=tuple(contents.memories),
        global_types=tuple(contents.global_types),
        globals=tuple(contents.globals),
        exports=tuple(contents.exports),
        start=contents.start,
        elements=tuple(contents.elements),
        data=contents.data,
        data_count=contents.data_count,
        custom_sections=tuple(contents.custom_sections),
        names=decode_names(source, contents),
        offsets=Offsets(
            contents.type_offsets,
            contents.function_offsets,
            contents.table_offsets,
            contents.memory_offsets,
            contents.tag_offsets,
            contents.start_offset,
        ),
        tag_types=tuple(contents.tag_types),
        defined_types=tuple(reader.types),
        type_problem=reader.type_problem,
        table_initializers=tuple(contents.table_initializers),
    )


def _check_header(source: bytes) -> None:
    if len(source) >= len(_MAGIC) and not source.startswith(_MAGIC):
        raise MalformedModuleError("magic header not detected: a module starts with 00 61 73 6d", 0)
    if len(source) < len(_MAGIC) + len(_VERSION):
        raise MalformedModuleError(
            "unexpected end: a module starts with 8 bytes of magic and version", len(source)
        )
    version = source[4:8]
    if version != _VERSION:
        found = "a component, not a module" if version[2] == _COMPONENT_LAYER else version.hex(" ")
        raise MalformedModuleError(f"unknown binary version: {found}", 4)


def _decode_sections(reader: Reader, contents: Contents) -> None:
    try:
        _decode_each_section(reader, contents)
    except IndexError:  # nothing in this package takes any other index than one into the source
        raise MalformedModuleError(UNEXPECTED_END, len(reader.source)) from None


def _decode_each_section(reader: Reader, contents: Contents) -> None:
    size_of_source = len(reader.source)
    last = -1
    while reader.position < size_of_source:
        start = reader.position
        section_id = reader.byte()
        size = reader.u32()
        end = reader.position + size
        if section_id != _CUSTOM and section_id not in _PLACES:
            raise MalformedModuleError(f"malformed section id: {section_id}", start)
        if end > size_of_source:
            left = size_of_source - reader.position
            reason = f"length out of bounds: a section of {size} bytes, of which {left} are there"
            raise MalformedModuleError(reason, start)
        if section_id == _CUSTOM:
            decode_custom_section(reader, contents, end)
            continue
        place, section = _PLACES[section_id]
        if place <= last:
            reason = f"unexpected content after last section: a second {section.name} section"
            if place < last:
                reason = (
                    f"unexpected content after last section: the {section.name} section after the "
                    f"{_IN_ORDER[last].name} section"
                )
            raise MalformedModuleError(reason, start)
        last = place
        try:
            section.decode(reader, contents)
        except UnsupportedFeatureError as error:
            if error.offset >= end:  # what was read there is no part of the section
                raise MalformedModuleError(f"{UNEXPECTED_END}: the {section.name} section", end) from None
            raise
        if reader.position != end:
            reason = (
                f"section size mismatch: the {section.name} section has {size} bytes, its content "
                f"{reader.position - end + size}"
            )
            raise MalformedModuleError(reason, start)


def _check_data_count(contents: Contents, end: int) -> None:
    if contents.data_count is not None and contents.data_count != len(contents.data):
        raise MalformedModuleError(
            "data count and data section have inconsistent lengths: "
            f"{contents.data_count} announced, {len(contents.data)} there",
            end,
        )
