"""What commands print: results and tables on standard output, errors on standard error, all of it as JSON if asked."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import click

from farcall.client import errors, types
from farcall.client.value_text import format_value

_KINDS = {
    types.FunctionType: "function",
    types.MemoryType: "memory",
    types.TableType: "table",
    types.GlobalType: "global",
    types.TagType: "tag",
}


def printable(text: str) -> str:
    """Text from elsewhere, with control characters escaped: a terminal must not obey a guest's names."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def print_line(text: str = "") -> None:
    """A line on standard output."""
    click.echo(printable(text))


def print_json(value: object) -> None:
    """A JSON document on standard output."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """What JSON can hold: data classes as objects (types with their kind), times in ISO 8601, bytes in hexadecimal."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        kind = _KINDS.get(type(value))
        return fields if kind is None else {"kind": kind, **fields}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value.value if isinstance(value, Enum) else value


def result_texts(results: object, result_types: Sequence[types.AnyValueType]) -> list[str]:
    """The text of each result; `results` as a call gives them."""
    return [
        _text(value, type_)
        for value, type_ in zip(result_list(results, result_types), result_types, strict=True)
    ]


def _text(value: Any, type_: types.AnyValueType) -> str:
    if isinstance(value, types.FunctionReference):
        return reference_text(value)
    if isinstance(type_, types.ReferenceType):
        return "null" if value is None else str(getattr(value, "description", value))
    return format_value(value, type_)


def result_list(results: object, result_types: Sequence[types.AnyValueType]) -> Sequence[Any]:
    """The results of a call as a sequence, however many they are."""
    if len(result_types) == 1:
        return (results,)
    return results if isinstance(results, tuple) else ()


def reference_text(reference: types.FunctionReference) -> str:
    """A function as in a backtrace."""
    function = reference.function or f"<function {reference.function_index}>"
    return f"{reference.instance.rpartition('/')[2] or '<instance>'}!{function}"


def print_results(results: object, result_types: Sequence[types.AnyValueType], as_json: bool) -> None:
    """Each result on its own line and nothing else; as JSON, numbers where JSON has them, else their text."""
    texts = result_texts(results, result_types)
    if not as_json:
        for text in texts:
            print_line(text)
        return
    values = [
        _json_value(value, text)
        for value, text in zip(result_list(results, result_types), texts, strict=True)
    ]
    print_json({"results": values, "types": list(result_types)})


def _json_value(value: object, text: str) -> object:
    """JSON has no infinities and no NaNs, no functions and no vectors; an f32's shortest decimal is kept."""
    if isinstance(value, float):
        number = float(text) if ":" not in text else value
        return number if number - number == 0 else text
    return text if isinstance(value, types.FunctionReference | types.ObjectReference | bytes) else value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """A table; columns named in `right` hold numbers. Where no terminal reads it, nothing is cut or wrapped."""
    from rich.console import Console  # noqa: PLC0415 - only for what is a table
    from rich.table import Table  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    console = Console(markup=False, highlight=False, emoji=False, width=None if terminal else 100_000)
    table = Table(box=None, pad_edge=False, header_style="bold" if terminal else "")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    if terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def digest_text(digest: str) -> str:
    """A digest: whole, or on a terminal as much as is enough for people."""
    return digest[:16] if sys.stdout.isatty() else digest


def time_text(time: datetime | None) -> str:
    """A time in the reader's time zone, to the second."""
    return "" if time is None else time.astimezone().isoformat(sep=" ", timespec="seconds")


def print_warning(message: str) -> None:
    """A warning on standard error."""
    click.echo(printable(f"warning: {message}"), err=True)


def print_error(error: Exception, as_json: bool) -> None:
    """An error on standard error: its message, a trap's with the backtrace; as JSON, all that is known of it."""
    if as_json:
        click.echo(json.dumps({"error": error_object(error)}, ensure_ascii=False), err=True)
    else:
        label = "trap" if isinstance(error, errors.Trap) else "error"
        click.echo(printable(f"{label}: {_message(error)}"), err=True)
        for depth, frame in enumerate(getattr(error, "backtrace", ())):
            click.echo(printable(f"  {depth}: {frame}"), err=True)


def _message(error: Exception) -> str:
    """What is wrong, without the backtrace."""
    if isinstance(error, errors.FarcallError):
        return error.message
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def error_object(error: Exception) -> dict[str, Any]:
    """An error as a JSON object: `type` names its class in `farcall.client.errors`, further fields are its own."""
    if not isinstance(error, errors.FarcallError):
        return {
            "type": "UsageError" if isinstance(error, click.UsageError) else "Error",
            "message": _message(error),
        }
    attributes = {
        name: plain(value) for name, value in vars(error).items() if name not in ("message", "code")
    }
    return {"type": type(error).__name__, "code": error.code, "message": error.message, **attributes}
