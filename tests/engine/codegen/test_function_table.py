"""Tables of functions: packed as what they were made of, and joined as their images are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import Image, join

SYMBOLS = st.builds("{}{}".format, st.sampled_from("ft"), st.integers(0, 999_999))


@st.composite
def images(draw: st.DrawFn) -> Image:
    content = draw(st.binary(max_size=300))
    ends = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    names = draw(st.lists(SYMBOLS, min_size=8, max_size=8))
    return Image(content, tuple((a, b - a, name) for a, b, name in zip(ends, ends[1:], names, strict=False)))


@given(images())
def test_a_table_has_what_it_was_made_of(image: Image) -> None:
    table = FunctionTable.of(image.functions)
    assert table == image.functions
    assert hash(table) == hash(image.functions)
    assert list(table) == list(image.functions)
    assert table[1:] == list(image.functions[1:])
    table.check(len(image.content))
    ordinary = dict(zip(*map(list, table.ordinary()), strict=True))
    assert ordinary == {int(name[1:]): offset for offset, _, name in image.functions if name[0] == "f"}
    tails = [(int(name[1:]), offset) for offset, _, name in image.functions if name[0] == "t"]
    assert list(table.tail_entries()) == tails


@given(images(), st.integers(0, 400))
def test_the_function_at_an_offset_is_the_last_one_that_begins_before(image: Image, offset: int) -> None:
    before = [(start, size, name) for start, size, name in image.functions if start <= offset]
    start, size, name = before[-1] if before else (0, 0, None)
    expected = name if before and offset < start + max(size, 1) else None
    assert FunctionTable.of(image.functions).at(offset) == expected


@given(st.lists(images(), max_size=4))
def test_a_joined_image_has_the_same_code_of_every_function(parts: list[Image]) -> None:
    joined = join(parts)
    FunctionTable.of(joined.functions).check(len(joined.content))
    of_parts = [
        (name, bytes(part.content[a : a + size])) for part in parts for a, size, name in part.functions
    ]
    assert [(name, joined.content[a : a + size]) for a, size, name in joined.functions] == of_parts


@pytest.mark.parametrize("name", ["x", "f", "f01", "g1", "t-1", "", "f4294967296"])
def test_other_symbols_than_those_of_functions_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no symbol of a module's function"):
        FunctionTable.of([(0, 1, name)])
