"""Large modules for cold starts: the functions of a kernel, as a real compiler made them, over and over.

Each copy calls its own functions only, and the first copy's exports are the module's: a program that uses a small part
of a large module.
"""

from __future__ import annotations

from farcall.engine import Engine, Module, section_headers
from farcall.engine.binary.instructions import decode_body

_FUNCTION_SECTION, _CODE_SECTION = 3, 10
_CUSTOM_SECTION = 0
_CALL = 0x10
_NAME = b"benchmark"


def unsigned(value: int) -> bytes:
    """LEB128 of an unsigned number (specification, section 5.2.2)."""
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def large_module(source: bytes, size: int) -> bytes:
    """A valid module of about `size` bytes, made of copies of the functions of `source`, which has no imports."""
    with Engine(code_policy="fast") as engine:
        module = engine.load_module(source)
    one_copy = sum(len(_body(module, position, 0)) for position in range(len(module.functions)))
    copies = max(1, size // one_copy)
    count = len(module.functions)
    types = b"".join(unsigned(body.type_index) for body in module.functions) * copies
    code = b"".join(
        _body(module, position, copy * count) for copy in range(copies) for position in range(count)
    )
    sections = [source[:8]]
    for header in section_headers(source):
        content = source[header.start : header.end]
        if header.id == _FUNCTION_SECTION:
            content = unsigned(copies * count) + types
        elif header.id == _CODE_SECTION:
            content = unsigned(copies * count) + code
        elif header.id == _CUSTOM_SECTION:
            continue
        sections.append(bytes([header.id]) + unsigned(len(content)) + content)
    return b"".join(sections)


def with_custom_section(source: bytes, content: bytes) -> bytes:
    """The module with one section more, which makes it another module and nothing else."""
    section = unsigned(len(_NAME)) + _NAME + content
    return source + bytes([_CUSTOM_SECTION]) + unsigned(len(section)) + section


def _body(module: Module, position: int, shift: int) -> bytes:
    """A function's entry in the code section, with the functions that it calls `shift` further on."""
    body = module.functions[position]
    locals_ = unsigned(len(body.locals)) + b"".join(
        unsigned(count) + bytes([value.code]) for count, value in body.locals
    )
    parts = [locals_]
    copied = body.start
    instructions = list(decode_body(module.source, body.start, body.end))
    ends = [offset for _, _, offset in instructions[1:]] + [body.end]
    for (row, immediates, offset), end in zip(instructions, ends, strict=True):
        if row.name == "call":
            parts.append(module.source[copied:offset])
            parts.append(bytes([_CALL]) + unsigned(immediates[0] + shift))
            copied = end
    parts.append(module.source[copied : body.end])
    content = b"".join(parts)
    return unsigned(len(content)) + content
