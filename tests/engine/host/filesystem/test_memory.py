"""File systems in memory: what they hold, and that it has a limit."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farcall.engine.errors import ExhaustionError
from farcall.engine.host.filesystem.interface import FileFlags, Whence
from farcall.engine.host.filesystem.memory import MemoryContent, MemoryFileSystem, Quota
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.wasi.errno import Errno
from tests.engine.host.filesystem.trees import (
    CREATE,
    TRUNCATE,
    errno_of,
    get,
    names,
    open_file,
    outcome,
    put,
    root_of,
)

CHUNK = 65536


class Budget:
    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, size: int) -> None:
        if size > self.left:
            raise ExhaustionError("no memory is left for guests")
        self.left -= size

    def give(self, size: int) -> None:
        self.left += size


def new_file(root, path: bytes = b"f"):
    return open_file(root, path, CREATE, write=True)


def test_a_file_fits_to_the_last_byte():
    system = MemoryFileSystem(size_limit=200_000)
    root = root_of(system)
    file = new_file(root)
    assert file.write([memoryview(bytes(199_999))]) == 199_999
    assert file.write([memoryview(b"ab")]) == 1
    assert errno_of(file.write, [memoryview(b"b")]) is Errno.NOSPC
    assert errno_of(file.pwrite, [memoryview(b"b")], 500_000) is Errno.NOSPC
    assert file.pwrite([memoryview(b"xy")], 10) == 2  # nothing more is held
    assert file.status().size == 200_000
    assert system.size == 200_000
    assert errno_of(root.symlink, b"f", b"l") is Errno.NOSPC
    file.set_size(100)
    assert system.size == 100
    root.symlink(b"f", b"l")
    assert system.size == 101


def test_a_part_of_what_is_written_fits_over_several_views():
    root = root_of(MemoryFileSystem(size_limit=10))
    file = new_file(root)
    assert file.write([memoryview(b"abcd"), memoryview(b""), memoryview(b"efgh"), memoryview(b"ijkl")]) == 10
    assert get(root, b"f") == b"abcdefghij"


def test_what_was_never_written_takes_no_room():
    system = MemoryFileSystem(size_limit=1000)
    file = new_file(root_of(system))
    file.set_size(1 << 62)
    assert system.size == 0
    file.pwrite([memoryview(b"end")], 1 << 50)
    assert system.size <= CHUNK
    buffer = bytearray(b"xxxxx")
    assert file.pread([memoryview(buffer)], (1 << 50) - 1) == 5
    assert bytes(buffer) == b"\0end\0"
    assert file.pread([memoryview(buffer)], 5 * CHUNK - 2) == 5
    assert bytes(buffer) == bytes(5)


def test_allocating_takes_room_and_changes_nothing():
    system = MemoryFileSystem(size_limit=300_000)
    root = root_of(system)
    file = new_file(root)
    file.write([memoryview(b"content")])
    file.allocate(2, 200_000)
    assert file.status().size == 200_002
    assert system.size == 200_002
    file.allocate(0, 10)
    assert file.status().size == 200_002
    assert get(root, b"f") == b"content" + bytes(199_995)
    for offset, length in ((0, 300_001), (200_000, 200_000), (0, 1 << 62), (1 << 62, 1 << 61)):
        assert errno_of(file.allocate, offset, length) is Errno.NOSPC
        assert file.status().size == 200_002
    assert errno_of(file.allocate, 1 << 62, 1 << 62) is Errno.FBIG
    assert errno_of(file.allocate, 0, 0) is Errno.INVAL


def test_the_largest_file():
    file = new_file(root_of(MemoryFileSystem()))
    assert file.pwrite([memoryview(b"ab")], (1 << 63) - 2) == 1
    assert errno_of(file.pwrite, [memoryview(b"ab")], (1 << 63) - 1) is Errno.FBIG
    assert file.status().size == (1 << 63) - 1
    assert file.seek(0, Whence.END) == (1 << 63) - 1
    assert errno_of(file.seek, 1, Whence.CURRENT) is Errno.INVAL


def test_what_is_removed_counts_until_it_is_closed():
    system = MemoryFileSystem(size_limit=1000)
    root = root_of(system)
    put(root, b"a", bytes(600))
    root.link(b"a", root, b"b", follow=False)
    first, second = open_file(root, b"a"), open_file(root, b"b")
    root.unlink(b"a")
    root.unlink(b"b")
    assert system.size == 600
    assert errno_of(new_file(root, b"c").pwrite, [memoryview(b"x")], 500) is Errno.NOSPC
    buffer = bytearray(700)
    assert first.read([memoryview(buffer)]) == 600
    first.close()
    first.close()
    assert system.size == 600
    second.close()
    assert system.size == 0


@pytest.mark.parametrize("how", ["rename", "truncate", "unlink link"])
def test_what_is_replaced_gives_its_room_back(how):
    system = MemoryFileSystem()
    root = root_of(system)
    put(root, b"a", bytes(600))
    if how == "rename":
        put(root, b"b", bytes(100))
        root.rename(b"b", root, b"a")
        assert system.size == 100
    elif how == "truncate":
        open_file(root, b"a", TRUNCATE, write=True).close()
        assert system.size == 0
    else:
        root.symlink(b"target", b"l")
        root.unlink(b"l")
        assert system.size == 600


def test_names_are_limited():
    system = MemoryFileSystem(name_limit=4)
    root = root_of(system)
    root.create_directory(b"d")
    put(root, b"d/a", b"")
    root.link(b"d/a", root, b"b", follow=False)
    root.symlink(b"d", b"l")
    assert errno_of(root.create_directory, b"e") is Errno.NOSPC
    assert errno_of(new_file, root, b"e") is Errno.NOSPC
    assert errno_of(root.symlink, b"d", b"e") is Errno.NOSPC
    assert errno_of(root.link, b"b", root, b"e", follow=False) is Errno.NOSPC
    assert names(root) == [b"b", b"d", b"l"]
    root.rename(b"b", root, b"c")
    root.rename(b"c", root, b"d/b")
    root.rename(b"d/b", root, b"l")
    put(root, b"e", b"")
    assert errno_of(root.create_directory, b"f") is Errno.NOSPC
    for name in (b"e", b"l", b"d/a"):
        root.unlink(name)
    root.remove_directory(b"d")
    for number in range(4):
        root.create_directory(b"%d" % number)
    assert errno_of(root.create_directory, b"f") is Errno.NOSPC


def test_a_link_that_finds_no_name_gives_its_room_back():
    system = MemoryFileSystem(name_limit=1)
    root = root_of(system)
    root.create_directory(b"d")
    assert errno_of(root.symlink, b"target", b"l") is Errno.NOSPC
    assert system.size == 0


def test_a_budget_is_taken_from_in_steps_and_given_back():
    budget = Budget(3 << 20)
    system = MemoryFileSystem(size_limit=100 << 20, budget=budget)
    root = root_of(system)
    file = new_file(root)
    assert file.write([memoryview(bytes(100))]) == 100
    assert budget.left == 2 << 20
    written = file.write([memoryview(bytes(5 << 20))])
    assert (3 << 20) - 20_000 < written < 3 << 20  # the rest is what name and chunks take
    assert budget.left == 0
    assert errno_of(file.pwrite, [memoryview(bytes(CHUNK))], 50 << 20) is Errno.NOSPC
    assert system.size == written + 100
    file.set_size(10)
    assert budget.left == 2 << 20
    system.close()
    assert budget.left == 3 << 20
    system.close()
    assert budget.left == 3 << 20


def test_names_are_taken_from_the_budget():
    budget = Budget(2 << 20)
    system = MemoryFileSystem(budget=budget)
    root = root_of(system)
    made = 0
    while outcome(partial(root.create_directory, b"%d" % made)) is None:
        made += 1
    assert made == 2048
    for number in range(made):
        root.remove_directory(b"%d" % number)
    assert budget.left >= 1 << 20
    system.close()
    assert budget.left == 2 << 20


def test_allocating_in_vain_leaves_nothing():
    budget = Budget(3 << 20)
    system = MemoryFileSystem(size_limit=8 << 20, budget=budget)
    file = new_file(root_of(system))
    assert errno_of(file.allocate, 0, 5 << 20) is Errno.NOSPC
    assert (system.size, file.status().size) == (0, 0)
    file.write([memoryview(b"abc")])
    assert errno_of(file.allocate, 1 << 20, 5 << 20) is Errno.NOSPC
    assert (system.size, file.status().size) == (3, 3)
    file.allocate(0, 2 << 20)
    assert system.size == 2 << 20


def test_a_file_of_holes_is_limited():
    system = MemoryFileSystem(size_limit=100_000, name_limit=10)
    file = new_file(root_of(system))
    written = 0
    while outcome(partial(file.pwrite, [memoryview(b"x")], written * CHUNK)) == 1:
        written += 1
    assert written < 1000
    assert system.size == written
    file.set_size(0)
    assert system.size == 0
    assert file.write([memoryview(bytes(100_000))]) == 100_000


def test_cookies_stay_valid_while_the_directory_changes():
    root = root_of(MemoryFileSystem())
    for number in range(100):
        put(root, b"%02d" % number, b"")
    seen = []
    cookie = 0
    while True:
        batch = []
        for entry in root.read_directory(cookie):
            batch.append(entry)
            if len(batch) == 7:
                break
        if not batch:
            break
        cookie = batch[-1].next_cookie
        for entry in batch:
            if entry.name not in (b".", b".."):
                seen.append(entry.name)
                if int(entry.name) % 3 and len(entry.name) == 2:
                    root.unlink(entry.name)
                    put(root, b"1%s" % entry.name, b"")
        if len(seen) > 150:
            break
    assert [name for name in seen if len(name) == 2] == [b"%02d" % number for number in range(100)]
    assert len(names(root)) == 100


def test_a_name_that_is_replaced_comes_once():
    root = root_of(MemoryFileSystem())
    for name in (b"a", b"b", b"c"):
        put(root, name, b"")
    entries = root.read_directory(2)
    assert next(entries).name == b"a"
    put(root, b"new", b"")
    root.rename(b"new", root, b"a")
    assert [entry.name for entry in entries] == [b"b", b"c"]
    assert errno_of(lambda: list(open_file(root, b"a").read_directory(0))) is Errno.NOTDIR
    assert list(root.read_directory(1 << 63)) == []


def test_handles_are_limited_and_closed_together():
    handles = OpenHandles(4)
    system = MemoryFileSystem()
    root = system.open_root(handles)
    put(root, b"a", b"content")
    open_handles = [open_file(root, b"a") for _ in range(3)]
    assert errno_of(open_file, root, b"a") is Errno.MFILE
    assert errno_of(open_file, root, b"new", CREATE) is Errno.MFILE
    assert names(root) == [b"a"]
    assert errno_of(system.open_root, handles) is Errno.MFILE
    open_handles[0].close()
    open_file(root, b"a")
    root.unlink(b"a")
    assert system.size == 7
    handles.close()
    assert len(handles) == 0
    assert system.size == 0
    assert errno_of(open_handles[1].read, [memoryview(bytearray(1))]) is Errno.BADF


def test_appending_is_at_the_end_whatever_the_position():
    root = root_of(MemoryFileSystem())
    put(root, b"a", b"123")
    file = open_file(root, b"a", write=True, file_flags=FileFlags.APPEND)
    assert file.write([memoryview(b"45")]) == 2
    assert file.tell() == 5
    file.seek(0, Whence.SET)
    file.write([memoryview(b"6")])
    assert file.tell() == 6
    file.set_flags(FileFlags(0))
    file.seek(0, Whence.SET)
    file.write([memoryview(b"0")])
    assert get(root, b"a") == b"023456"


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.just("write"),
                st.one_of(
                    st.integers(0, 300), st.integers(CHUNK - 50, CHUNK + 50), st.integers(0, 4 * CHUNK)
                ),
                st.lists(st.sampled_from([0, 1, 7, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]), max_size=3),
            ),
            st.tuples(
                st.just("size"), st.one_of(st.integers(0, 300), st.integers(0, 4 * CHUNK)), st.just([])
            ),
            st.tuples(st.just("allocate"), st.integers(0, 3 * CHUNK), st.just([100])),
            st.tuples(
                st.just("read"), st.integers(0, 4 * CHUNK), st.lists(st.integers(0, 2 * CHUNK), max_size=3)
            ),
        ),
        max_size=12,
    ),
    limit=st.sampled_from([1 << 30, 3 * CHUNK, 1000]),
)
def test_chunks_hold_what_one_row_of_bytes_would(steps, limit):
    quota = Quota(limit, None)
    content = MemoryContent(quota)
    model = bytearray()
    value = 0
    for step, offset, sizes in steps:
        if step == "write":
            value += 1
            views = [memoryview(bytes([value]) * size) for size in sizes]
            count = outcome(lambda offset=offset, views=views: content.write(offset, views))
            if count is Errno.NOSPC:
                assert quota.used <= limit < 1 << 30
                continue
            assert count == sum(sizes) or quota.used == limit
            if count:
                model.extend(bytes(max(offset - len(model), 0)))
                model[offset : offset + count] = bytes([value]) * count
        elif step == "size":
            content.set_size(offset)
            model[offset:] = b""
            model.extend(bytes(offset - len(model)))
        elif step == "allocate":
            if outcome(lambda offset=offset: content.allocate(offset, 100)) is None:
                model.extend(bytes(max(offset + 100 - len(model), 0)))
        else:
            buffers = [bytearray(b"?" * size) for size in sizes]
            count = content.read(offset, [memoryview(buffer) for buffer in buffers])
            expected = bytes(model[offset : offset + sum(sizes)])
            assert count == len(expected)
            assert b"".join(buffers) == expected + b"?" * (sum(sizes) - count)
        assert content.size == len(model)
        assert quota.used <= min(limit, content.size + CHUNK)
    content.set_size(0)
    assert quota.used == 0
