"""Custom sections (section 5.5.3), and of their kinds the name section (appendix, section 7.4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import MAXIMUM_CUSTOM_SECTIONS
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError, ModuleError, ModuleLimitError
from farcall.engine.structure.module import CustomSection, Names
from farcall.engine.structure.packed import FunctionNames

_NAME_SECTION = "name"
_MODULE_NAME = 0
_FUNCTION_NAMES = 1


def decode_custom_section(reader: Reader, contents: Contents, end: int) -> None:
    """Read a custom section's name and step over its content, which ends at `end`."""
    start = reader.position
    if len(contents.custom_sections) >= MAXIMUM_CUSTOM_SECTIONS:
        raise ModuleLimitError(f"more than {MAXIMUM_CUSTOM_SECTIONS} custom sections", start)
    name = reader.name()
    if reader.position > end:
        raise MalformedModuleError("unexpected end: the custom section ends in its name", start)
    contents.custom_sections.append(CustomSection(name, reader.position, end))
    reader.position = end


def decode_names(source: bytes, contents: Contents) -> Names:
    """Read the names that the first name section gives, as far as it is well-formed; functions' when wanted."""
    for section in contents.custom_sections:
        if section.name == _NAME_SECTION:
            read = partial(_read_function_names, source, section, len(contents.function_types))
            return Names(_read_module_name(source, section), FunctionNames(read))
    return Names()


def _subsections(reader: Reader) -> Iterator[int]:
    """The kind of each subsection, whose content the reader is at; up to where it is malformed."""
    size = len(reader.source)
    # Section 7.4.1: a malformed name section is no reason to refuse the module.
    with suppress(ModuleError, IndexError):
        while reader.position < size:
            kind = reader.byte()
            length = reader.u32()
            end = reader.position + length
            yield kind
            reader.position = end


def _read_module_name(source: bytes, section: CustomSection) -> str | None:
    reader = Reader(source[section.start : section.end])
    name = None
    for kind in _subsections(reader):
        if kind == _MODULE_NAME:
            try:
                name = reader.name()
            except (ModuleError, IndexError):
                break
    return name


def _read_function_names(source: bytes, section: CustomSection, functions: int) -> dict[int, str]:
    """The names of functions by index."""
    reader = Reader(source[section.start : section.end])
    names: dict[int, str] = {}
    for kind in _subsections(reader):
        try:
            if kind == _MODULE_NAME:
                reader.name()
            elif kind == _FUNCTION_NAMES:
                for _ in range(reader.u32()):
                    index = reader.u32()
                    name = reader.name()
                    if index < functions:
                        names[index] = name
        except (ModuleError, IndexError):
            break
    return names
