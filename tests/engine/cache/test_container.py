"""The format of entries, and what is refused."""

from __future__ import annotations

import mmap
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.cache.authentication import MAC_BYTES, Authenticator
from farcall.engine.cache.container import _HEADER, ContainerError, ModuleEntry, read_module, write_module
from farcall.engine.cache.place import Content
from farcall.engine.codegen.linker import Image
from tests.engine.cache.entries import AUTHENTICATOR, entry_of, key_of, same

KEY = key_of("an entry")


def read(data: bytes, key: str = KEY, authenticator: Authenticator = AUTHENTICATOR) -> ModuleEntry:
    return read_module(Content(data), key, authenticator)


SYMBOLS = st.builds("{}{}".format, st.sampled_from("ft"), st.integers(0, 999_999))


@st.composite
def entries(draw: st.DrawFn) -> ModuleEntry:
    images = []
    for content in draw(st.lists(st.binary(max_size=5000), max_size=3)):
        ends = sorted(draw(st.lists(st.integers(0, len(content)), max_size=6)))
        names = draw(st.lists(SYMBOLS, min_size=6, max_size=6))
        functions = tuple((a, b - a, name) for a, b, name in zip(ends, ends[1:], names, strict=False))
        images.append(Image(content, functions))
    return ModuleEntry(draw(st.none() | st.binary(max_size=300)), tuple(images))


@given(entries())
def test_an_entry_comes_back_as_it_was(entry: ModuleEntry) -> None:
    assert same(read(write_module(entry, KEY, AUTHENTICATOR)), entry)


def test_code_stands_at_page_boundaries() -> None:
    image = Image(b"\xc3" * 100, ((0, 100, "f0"),))
    data = write_module(ModuleEntry(b"m", (image, image)), KEY, AUTHENTICATOR)
    assert [data[start : start + 1] for start in (mmap.PAGESIZE, 2 * mmap.PAGESIZE)] == [b"\xc3", b"\xc3"]
    assert len(data) == 2 * mmap.PAGESIZE + 100


def test_every_changed_byte_is_noticed() -> None:
    data = write_module(ModuleEntry(b"meta", (Image(b"code", ((0, 4, "f0"),)),)), KEY, AUTHENTICATOR)
    for position in [*range(300), *range(300, len(data), 97), len(data) - 1]:
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(ContainerError):
            read(bytes(changed))


def test_what_is_cut_off_or_longer_is_refused() -> None:
    data = write_module(entry_of(), KEY, AUTHENTICATOR)
    for size in (0, 1, 50, 88, len(data) - 1):
        with pytest.raises(ContainerError):
            read(data[:size])
    with pytest.raises(ContainerError):
        read(data + b"\0")


def test_an_entry_under_another_key_is_refused() -> None:
    data = write_module(entry_of(), KEY, AUTHENTICATOR)
    with pytest.raises(ContainerError, match="another key"):
        read(data, key_of("another"))
    renamed = data[: _HEADER.size - 32] + bytes.fromhex(key_of("another")) + data[_HEADER.size :]
    with pytest.raises(ContainerError, match="authentication"):
        read(renamed, key_of("another"))


def test_an_entry_of_another_authority_is_refused() -> None:
    data = write_module(entry_of(), KEY, Authenticator(b"x" * 32))
    with pytest.raises(ContainerError, match="authentication"):
        read(data)


def test_authentic_nonsense_is_refused_or_read_within_bounds() -> None:
    """Mutated at random, and authenticated again: whatever is read lies within the entry."""
    generator = random.Random(1)
    data = write_module(entry_of(500), KEY, AUTHENTICATOR)
    end = _HEADER.size + MAC_BYTES
    refused = 0
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            changed[generator.randrange(16, 400)] = generator.choice((0, 1, 2, 255, generator.randrange(256)))
        changed[_HEADER.size : end] = AUTHENTICATOR.code(changed[: _HEADER.size], changed[end:])
        try:
            entry = read(bytes(changed))
        except ContainerError:
            refused += 1
            continue
        for image in entry.images:
            assert all(start + size <= len(image.content) for start, size, _name in image.functions)
    assert refused > 1000
