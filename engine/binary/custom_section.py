"""Custom sections (section 5.5.3), and of their kinds the name section (appendix, section 7.4.1)."""

from __future__ import annotations

from farcall.engine.binary.contents import Contents
from farcall.engine.binary.limits import MAXIMUM_CUSTOM_SECTIONS
from farcall.engine.binary.reader import Reader
from farcall.engine.errors import MalformedModuleError, ModuleError, ModuleLimitError
from farcall.engine.structure.module import CustomSection, Names

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
    """Read the names that the first name section gives, as far as it is well-formed."""
    module: str | None = None
    functions: dict[int, str] = {}
    for section in contents.custom_sections:
        if section.name != _NAME_SECTION:
            continue
        content = source[section.start : section.end]
        reader = Reader(content)
        try:
            while reader.position < len(content):
                kind = reader.byte()
                size = reader.u32()
                end = reader.position + size
                if kind == _MODULE_NAME:
                    module = reader.name()
                elif kind == _FUNCTION_NAMES:
                    _read_function_names(reader, functions, len(contents.function_types))
                reader.position = end
        except (ModuleError, IndexError):
            pass  # section 7.4.1: a malformed name section is no reason to refuse the module
        break
    return Names(module, functions)


def _read_function_names(reader: Reader, names: dict[int, str], functions: int) -> None:
    for _ in range(reader.u32()):
        index = reader.u32()
        name = reader.name()
        if index < functions:
            names[index] = name
