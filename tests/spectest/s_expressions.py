"""S-expressions of the text format's script level: bytes to a tree with offsets.

Only what the script level needs is checked here: brackets, strings and comments (section 6.3 of the
specification, lexical format). What stands inside of a module is left to the assembler; its tokens are read
leniently, so that annotations with any tokens in them pass.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


class ScriptSyntaxError(Exception):
    """A script that cannot be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A keyword, number or identifier; `$"quoted"` identifiers are given in their plain form."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class String:
    """A string literal, its escapes resolved to bytes."""

    value: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """A bracketed list; bytes `start` to `end` of the source, brackets included."""

    items: tuple[Expression, ...]
    start: int
    end: int

    @property
    def head(self) -> str | None:
        """The keyword that the form begins with, if it does."""
        first = self.items[0] if self.items else None
        return first.text if isinstance(first, Atom) else None


Expression = Atom | String | Form


@dataclass(frozen=True, slots=True)
class Token:
    """A lexical element; `kind`: open, close, string, identifier, atom, annotation, space or comment."""

    kind: str
    start: int
    end: int


_TOKEN = re.compile(
    rb"""
      (?P<space>[ \t\r\n]+)
    | (?P<comment>;;[^\r\n]*)
    | (?P<block>\(;)
    | (?P<annotation>\(@)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<identifier>\$"[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<atom>[^ \t\r\n()";]+|;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(rb"\(;|;\)")
_ESCAPE = re.compile(rb"\\(?:u\{([0-9a-fA-F_]+)\}|([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b'"': b'"', b"'": b"'", b"\\": b"\\"}


class Lines:
    """Line numbers of offsets, from 1."""

    def __init__(self, source: bytes) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(rb"\n", source))]

    def line(self, offset: int) -> int:
        """The number of the line in which `offset` lies."""
        return bisect_right(self._starts, offset)


def tokens(source: bytes, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """Yield every token of `source[start:end]`, spaces and comments included."""
    end = len(source) if end is None else end
    position = start
    while position < end:
        match = _TOKEN.match(source, position, end)
        if match is None:
            raise ScriptSyntaxError(f"line {Lines(source).line(position)}: unclosed string")
        kind = match.lastgroup
        assert kind is not None
        after = match.end()
        if kind == "block":
            kind, after = "comment", _block_comment_end(source, position, end)
        yield Token(kind, position, after)
        position = after


def _block_comment_end(source: bytes, start: int, end: int) -> int:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(source, start, end):
        depth += 1 if edge.group() == b"(;" else -1
        if depth == 0:
            return edge.end()
    raise ScriptSyntaxError(f"line {Lines(source).line(start)}: unclosed block comment")


def unescape(literal: bytes) -> bytes:
    """The bytes that a string literal (without its quotes) stands for."""
    if b"\\" not in literal:
        return literal

    def resolve(match: re.Match[bytes]) -> bytes:
        code_point, byte, simple = match.groups()
        if code_point is not None:
            return chr(int(code_point, 16)).encode("utf-8", "surrogatepass")
        if byte is not None:
            return bytes((int(byte, 16),))
        if simple not in _SIMPLE_ESCAPES:
            raise ScriptSyntaxError(f"bad escape {match.group()!r} in a string")
        return _SIMPLE_ESCAPES[simple]

    return _ESCAPE.sub(resolve, literal)


def parse(source: bytes) -> list[Expression]:
    """Parse a script into its top-level expressions; annotations are left out.

    Iterative: depth of nesting costs no stack.

    Raises:
        ScriptSyntaxError: brackets, a string or a comment are not closed.
    """
    top: list[Expression] = []
    current = top
    enclosing: list[
        tuple[list[Expression], int, bool]
    ] = []  # (items, start, is an annotation) of open brackets
    for token in tokens(source):
        match token.kind:
            case "atom":
                text = source[token.start : token.end].decode("utf-8", "replace")
                current.append(Atom(text, token.start, token.end))
            case "open" | "annotation":
                enclosing.append((current, token.start, token.kind == "annotation"))
                current = []
            case "close":
                if not enclosing:
                    raise ScriptSyntaxError(f"line {Lines(source).line(token.start)}: unexpected )")
                items = current
                current, start, is_annotation = enclosing.pop()
                if not is_annotation:
                    current.append(Form(tuple(items), start, token.end))
            case "string":
                value = unescape(source[token.start + 1 : token.end - 1])
                current.append(String(value, token.start, token.end))
            case "identifier":
                name = unescape(source[token.start + 2 : token.end - 1])
                current.append(Atom("$" + name.decode("utf-8", "replace"), token.start, token.end))
    if enclosing:
        raise ScriptSyntaxError(f"line {Lines(source).line(enclosing[-1][1])}: unclosed (")
    return top
