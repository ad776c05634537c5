"""From a script's module to the bytes of its binary format.

Text is assembled by the wasmtime package's `wat2wasm`. It refuses characters beyond ASCII that could deceive
a reader, which some tests use on purpose, so such characters are written as escapes (in strings) or left out
(in comments). It has no folded form of the legacy exception handling's `try`, so functions with one are
unfolded first.
"""

from __future__ import annotations

import wasmtime

from .commands import ModuleSource
from .legacy_try import unfold_legacy_try
from .s_expressions import ScriptSyntaxError, tokens


class AssemblyError(Exception):
    """The assembler refuses a module's text."""


def assemble(source: ModuleSource) -> bytes:
    """The binary form of a module.

    Raises:
        AssemblyError: its text is refused; the message is the assembler's.
    """
    if source.form == "binary":
        return source.content
    text = unfold_legacy_try(source.content) if source.form == "text" else source.content
    try:
        return bytes(wasmtime.wat2wasm(plain_ascii(text)))
    except wasmtime.WasmtimeError as error:
        raise AssemblyError(str(error)) from error


def plain_ascii(text: bytes) -> bytes:
    """The same module without characters beyond ASCII in strings and comments; lines keep their numbers."""
    if text.isascii():
        return text
    pieces = []
    try:
        for token in tokens(text):
            piece = text[token.start : token.end]
            if not piece.isascii():
                if token.kind == "string":
                    piece = b"".join(bytes((byte,)) if byte < 0x80 else b"\\%02x" % byte for byte in piece)
                elif token.kind == "comment":
                    piece = bytes(byte if byte < 0x80 else ord("?") for byte in piece)
            pieces.append(piece)
    except ScriptSyntaxError:
        return text  # The assembler says it better.
    return b"".join(pieces)
