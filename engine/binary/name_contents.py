"""The content of the name section (appendix, section 7.4.1).

Tools write the subsections of the extended-name-section proposal, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farcall.engine.binary.reader import Reader
from farcall.engine.errors import InvalidModuleError, MalformedModuleError
from farcall.engine.structure.defined_types import StructType
from farcall.engine.structure.module import Module


@dataclass(frozen=True, slots=True)
class _NameMap:
    """A subsection: names by index or, where there is an inner index space, by two of them.

    Attributes:
        what: the word for what has an index.
        count: how many there are of them in a module.
        inner: the same of what belongs to the one that the outer index is of.
    """

    what: str
    count: Callable[[Module], int]
    inner: tuple[str, Callable[[Module, int], int]] | None = None


def _local_count(module: Module, function: int) -> int:
    parameters = len(module.function_type(function).parameters)
    own = function - module.imported_function_count
    declared = module.functions[own].locals if own >= 0 else ()
    return parameters + sum([count for count, _ in declared])


def _field_count(module: Module, type_index: int) -> int:
    composite = module.types[type_index]
    return len(composite.fields) if isinstance(composite, StructType) else 0


def _any_label(module: Module, function: int) -> int:
    """Labels are numbered in the order of their blocks, of which there are fewer than bytes."""
    return len(module.source)


def _function_count(module: Module) -> int:
    return len(module.function_types)


def _type_count(module: Module) -> int:
    return len(module.types)


_MODULE = 0
_MAPS = {
    1: _NameMap("function", _function_count),
    2: _NameMap("function", _function_count, ("local", _local_count)),
    3: _NameMap("function", _function_count, ("label", _any_label)),
    4: _NameMap("type", _type_count),
    5: _NameMap("table", lambda module: len(module.tables)),
    6: _NameMap("memory", lambda module: len(module.memories)),
    7: _NameMap("global", lambda module: len(module.global_types)),
    8: _NameMap("element segment", lambda module: len(module.elements)),
    9: _NameMap("data segment", lambda module: len(module.data)),
    10: _NameMap("type", _type_count, ("field", _field_count)),
    11: _NameMap("tag", lambda module: len(module.tag_types)),
}
"""The subsections by their ids, but for the module's name."""


def check_names(module: Module, reader: Reader) -> None:
    """Check the content of the section.

    Raises:
        MalformedModuleError: it does not follow the format.
        InvalidModuleError: a name is for what is not there.
        IndexError: the bytes end too early.
    """
    last = -1
    while reader.position < len(reader.source):
        start = reader.position
        number = reader.byte()
        if number != _MODULE and number not in _MAPS:
            raise MalformedModuleError(f"invalid name subsection id {number}", start)
        if number <= last:
            raise MalformedModuleError(f"subsection {number} after subsection {last}", start)
        last = number
        size = reader.u32()
        end = reader.position + size
        if number == _MODULE:
            reader.name()
        else:
            _check_map(module, reader, _MAPS[number])
        if reader.position != end:
            found = size + reader.position - end
            raise MalformedModuleError(
                f"name subsection size mismatch: {size} bytes, its content has {found}", start
            )


def _check_map(module: Module, reader: Reader, names: _NameMap) -> None:
    if names.inner is None:
        _check_indices(reader, names.what, names.count(module), lambda _: reader.name())
        return
    what, count = names.inner
    _check_indices(
        reader,
        names.what,
        names.count(module),
        lambda outer: _check_indices(
            reader, f"{what} of {names.what} {outer}:", count(module, outer), lambda _: reader.name()
        ),
    )


def _check_indices(reader: Reader, what: str, count: int, read: Callable[[int], object]) -> None:
    """Check a name map's indices; `read` reads what stands behind each."""
    last = -1
    for _ in range(reader.u32()):
        start = reader.position
        index = reader.u32()
        if index <= last:
            order = "multiple names for" if index == last else f"{last} stands before"
            raise MalformedModuleError(f"{order} {what} {index}", start)
        last = index
        if index >= count:
            raise InvalidModuleError(f"unknown {what} {index}", start)
        read(index)
