"""Arguments of guest functions on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from farcall.client.command_line.settings import NUMBER_MARK
from farcall.client.errors import ArgumentError
from farcall.client.types import Argument, FunctionType
from farcall.client.value_text import parse_value

_NEGATIVE_NUMBER = re.compile(r"-(\.?[0-9]|inf|nan)", re.IGNORECASE)


class CommandWithNumbers(click.Command):
    """A command among whose arguments `-1`, `-0x10` and `-inf` are numbers (or names), not options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Marks negative numbers while click looks for options."""
        marked = [NUMBER_MARK + text if _NEGATIVE_NUMBER.match(text) else text for text in args]
        rest = super().parse_args(ctx, marked)
        ctx.params = {name: _without_marks(value) for name, value in ctx.params.items()}
        return rest


def _without_marks(value: Any) -> Any:
    if isinstance(value, str):
        return value.removeprefix(NUMBER_MARK)
    return tuple(map(_without_marks, value)) if isinstance(value, tuple) else value


guest_arguments = click.argument("arguments", nargs=-1, metavar="[ARG]...", type=click.UNPROCESSED)
"""The arguments of a guest function, of a `CommandWithNumbers`."""


def read_arguments(texts: Sequence[str], function_type: FunctionType) -> list[Argument]:
    """The values that the texts stand for.

    Raises:
        ArgumentError: wrong number, or a text that is no value of its parameter's type.
    """
    parameters = function_type.parameters
    if len(texts) != len(parameters):
        wanted, given = _count(len(parameters)), _count(len(texts))
        types = f" ({', '.join(parameters)})" if parameters else ""
        raise ArgumentError(f"wanted {wanted}{types}, given {given}", wanted=wanted, given=given)
    return [
        parse_value(text, type_, index)
        for index, (text, type_) in enumerate(zip(texts, parameters, strict=True))
    ]


def _count(number: int) -> str:
    return "1 argument" if number == 1 else f"{number} arguments"
