"""`path_*` and what they open, as a guest calls them, on file systems in memory and directories of the host alike."""

from __future__ import annotations

import os

import pytest

from farcall.engine.host.filesystem.archives import open_archive
from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.system_calls import kernel_has_openat2
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.rights import (
    ALL,
    FD_READ,
    FD_SEEK,
    FD_WRITE,
    PATH_CREATE_FILE,
    PATH_OPEN,
)
from tests.engine.host.filesystem.test_archives import tar_files
from tests.engine.host.wasi.raw_guest import ROOT, SIZE, RawGuest

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
APPEND, DSYNC, NONBLOCK = 1, 2, 4
IS_DIRECTORY, IS_FILE, IS_LINK = 3, 4, 7


@pytest.fixture(params=["memory", "openat2", "walk"])
def files(request, tmp_path):
    if request.param == "memory":
        yield MemoryFileSystem()
        return
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "inside").mkdir()
    system = HostDirectory(tmp_path / "inside", openat2=request.param == "openat2" and kernel_has_openat2())
    yield system
    system.close()


@pytest.fixture
def guest(store, files):
    return RawGuest(store, files)


def make(guest: RawGuest, path: bytes, content: bytes = b"") -> None:
    number = guest.open(path, CREATE | TRUNCATE)
    assert guest.write(number, content) == len(content)
    assert guest.close(number) is Errno.SUCCESS


def content_of(guest: RawGuest, path: bytes) -> bytes | Errno:
    number = guest.open(path)
    if isinstance(number, Errno):
        return number
    content = guest.read(number, 1000)
    guest.close(number)
    return content


def test_files_are_made_written_and_read(guest):
    number = guest.open(b"a", CREATE | EXCLUSIVE)
    assert guest.write(number, b"hello") == 5
    assert guest.write(number, b" world") == 6
    assert guest.read(number, 10) == b""
    assert guest.read(number, 10, 6) == b"world"
    assert guest.write(number, b"W", 6) == 1
    assert guest.fd_status(number)["size"] == 11
    assert guest.close(number) is Errno.SUCCESS
    assert content_of(guest, b"a") == b"hello World"
    assert guest.open(b"a", CREATE | EXCLUSIVE) is Errno.EXIST
    assert guest.status(b"a")["type"] == IS_FILE
    make(guest, b"a", b"x")
    assert content_of(guest, b"a") == b"x"


def test_directories_are_made_listed_and_removed(guest):
    assert guest.on_path("path_create_directory", b"d") is Errno.SUCCESS
    assert guest.on_path("path_create_directory", b"d/e/") is Errno.SUCCESS
    assert guest.on_path("path_create_directory", b"d") is Errno.EXIST
    assert guest.on_path("path_create_directory", b"x/y") is Errno.NOENT
    make(guest, b"d/f")
    assert guest.symlink(b"f", b"d/l") is Errno.SUCCESS
    number = guest.open(b"d", DIRECTORY)
    entries = guest.entries(number)
    assert [name for name, _, _ in entries[:2]] == [b".", b".."]
    assert sorted((name, kind) for name, kind, _ in entries[2:]) == [
        (b"e", IS_DIRECTORY), (b"f", IS_FILE), (b"l", IS_LINK),
    ]  # fmt: skip
    for position, (_, _, cookie) in enumerate(entries):
        assert guest.entries(number, cookie=cookie) == entries[position + 1 :]
    assert guest.on_path("path_remove_directory", b"d") is Errno.NOTEMPTY
    assert guest.on_path("path_remove_directory", b"d/f") is Errno.NOTDIR
    assert guest.on_path("path_unlink_file", b"d/e") is Errno.ISDIR
    for name in (b"f", b"l"):
        assert guest.on_path("path_unlink_file", name, directory=number) is Errno.SUCCESS
    assert guest.on_path("path_remove_directory", b"e/", directory=number) is Errno.SUCCESS
    assert guest.on_path("path_remove_directory", b"d") is Errno.SUCCESS
    assert [name for name, _, _ in guest.entries(number)] == [b".", b".."]


def test_a_listing_through_a_small_buffer(guest):
    for index in range(40):
        make(guest, b"file-%02d" % index)
    number = guest.open(b".", DIRECTORY)
    seen: list[bytes] = []
    cookie = 0
    while True:
        entries = guest.entries(number, 100, cookie)
        if not entries:
            break
        seen += [name for name, _, _ in entries]
        cookie = entries[-1][2]
    assert sorted(seen) == sorted([b".", b"..", *(b"file-%02d" % index for index in range(40))])
    assert guest.entries(number, 0) == []
    assert guest.entries(number, 23) == []


def test_names_change_and_multiply(guest):
    make(guest, b"a", b"a")
    make(guest, b"b", b"b")
    guest.on_path("path_create_directory", b"d")
    number = guest.open(b"d", DIRECTORY)
    assert guest.on_paths("path_rename", b"a", b"c", new_directory=number) is Errno.SUCCESS
    assert content_of(guest, b"d/c") == b"a"
    assert guest.on_paths("path_rename", b"d/c", b"b") is Errno.SUCCESS
    assert content_of(guest, b"b") == b"a"
    assert guest.on_paths("path_rename", b"b", b"d") is Errno.ISDIR
    assert guest.on_paths("path_rename", b"d", b"b") is Errno.NOTDIR
    assert guest.on_paths("path_rename", b"d", b"d/x") is Errno.INVAL
    assert guest.on_paths("path_rename", b"x", b"y") is Errno.NOENT
    assert guest.on_paths("path_link", b"b", b"d/b", 0) is Errno.SUCCESS
    assert guest.status(b"b")["links"] == 2
    assert guest.status(b"b")["inode"] == guest.status(b"d/b")["inode"]
    assert guest.on_paths("path_link", b"b", b"d/b", 0) is Errno.EXIST
    assert guest.on_paths("path_link", b"d", b"e", 0) is Errno.PERM
    assert guest.on_paths("path_link", b"b", b"e/", 0) is Errno.NOENT


def test_symbolic_links(guest):
    make(guest, b"f", b"content")
    assert guest.symlink(b"f", b"l") is Errno.SUCCESS
    assert guest.symlink(b"f", b"l") is Errno.EXIST
    assert guest.readlink(b"l") == b"f"
    assert guest.symlink(b"a/long/target", b"m") is Errno.SUCCESS
    assert guest.readlink(b"m", 6) == b"a/long"
    assert guest.readlink(b"m", 0) == b""
    assert guest.readlink(b"f") is Errno.INVAL
    assert content_of(guest, b"l") == b"content"
    assert guest.open(b"l", follow=0) is Errno.LOOP
    assert guest.open(b"m") is Errno.NOENT
    assert guest.status(b"l")["type"] == IS_FILE
    assert guest.status(b"l", follow=0)["type"] == IS_LINK
    assert guest.status(b"l", follow=0)["size"] == 1
    assert guest.symlink(b"/etc", b"n") is Errno.PERM
    assert guest.symlink(b"", b"n") is Errno.NOENT
    assert guest.symlink(b"o", b"o") is Errno.SUCCESS
    assert guest.open(b"o") is Errno.LOOP


@pytest.mark.parametrize(
    "path", [b"..", b"../secret", b"/", b"/etc/passwd", b"d/../../secret", b"up/secret", b"up"]
)
def test_nothing_leads_out(guest, path):
    guest.on_path("path_create_directory", b"d")
    make(guest, b"f")
    assert guest.symlink(b"../", b"up") is Errno.SUCCESS
    assert guest.open(path) is Errno.PERM
    assert guest.open(path, CREATE) is Errno.PERM
    assert guest.status(path) is Errno.PERM
    if path != b"up":
        for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
            assert guest.on_path(name, path) is Errno.PERM
        assert guest.on_paths("path_rename", path, b"x") is Errno.PERM
        assert guest.on_paths("path_rename", b"f", path) is Errno.PERM
        assert guest.on_paths("path_link", path, b"x", 0) is Errno.PERM
        assert guest.on_paths("path_link", b"f", path, 0) is Errno.PERM
        assert guest.symlink(b"f", path) is Errno.PERM
        assert guest.readlink(path) is Errno.PERM


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        (b"", Errno.NOENT),
        (b"a\0b", Errno.INVAL),
        (b"\0", Errno.INVAL),
        (b"\xff", Errno.ILSEQ),
        (b"a/\xc3", Errno.ILSEQ),
        (b"n" * 256, Errno.NAMETOOLONG),
        (b"n/" * 2500, Errno.NAMETOOLONG),
    ],
)
def test_paths_that_cannot_be(guest, path, errno):
    make(guest, b"f")
    assert guest.open(path) is errno
    assert guest.status(path) is errno
    assert guest.readlink(path) is errno
    for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
        assert guest.on_path(name, path) is errno
    assert guest.on_paths("path_rename", path, b"x") is errno
    assert guest.on_paths("path_rename", b"f", path) is errno
    assert guest.on_paths("path_link", b"f", path, 0) is errno
    assert guest.symlink(b"f", path) is errno


def test_pointers_that_leave_the_memory(guest):
    make(guest, b"f", b"content")
    number = guest.open(b"f")
    guest.put(0x1000, b"f")
    before = len(guest.system.program.handles)
    for pointer, length in (
        (SIZE, 1),
        (SIZE - 1, 2),
        ((1 << 32) - 1, 1),
        (0x1000, (1 << 32) - 1),
        (SIZE - 5, SIZE),
    ):
        assert guest.call("path_open", ROOT, 0, pointer, length, 0, ALL, 0, 0, 0) is Errno.FAULT
        for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
            assert guest.call(name, ROOT, pointer, length) is Errno.FAULT
        assert guest.call("path_rename", ROOT, 0x1000, 1, ROOT, pointer, length) is Errno.FAULT
        assert guest.call("path_link", ROOT, 0, pointer, length, ROOT, 0x1000, 1) is Errno.FAULT
        assert guest.call("path_symlink", pointer, length, ROOT, 0x1000, 1) is Errno.FAULT
        assert guest.call("path_readlink", ROOT, 0x1000, 1, pointer, length, 0) is Errno.FAULT
        assert guest.call("fd_readdir", ROOT, pointer, length, 0, 0) is Errno.FAULT
        assert guest.call("path_filestat_get", ROOT, 0, pointer, length, 0) is Errno.FAULT
    for pointer in (SIZE - 3, SIZE, (1 << 32) - 4):
        assert guest.call("path_open", ROOT, 0, 0x1000, 1, 0, ALL, 0, 0, pointer) is Errno.FAULT
        assert guest.call("path_filestat_get", ROOT, 0, 0x1000, 1, pointer) is Errno.FAULT
        assert guest.call("fd_filestat_get", number, pointer) is Errno.FAULT
        assert guest.call("fd_read", number, pointer, 1, 0) is Errno.FAULT
    assert len(guest.system.program.handles) == before


def test_a_path_as_long_as_the_memory(guest):
    guest.put(0x1000, b"a" * (SIZE - 0x1000))
    assert guest.call("path_open", ROOT, 0, 0x1000, SIZE - 0x1000, 0, ALL, 0, 0, 0) is Errno.NAMETOOLONG
    assert guest.call("path_symlink", 0x1000, SIZE - 0x1000, ROOT, 0x1000, 1) is Errno.NAMETOOLONG


def test_descriptors_that_are_none_or_no_directory(guest):
    make(guest, b"f")
    number = guest.open(b"f")
    for descriptor, errors in (
        (99, {Errno.BADF}),
        ((1 << 32) - 1, {Errno.BADF}),
        (number, {Errno.NOTDIR}),
        (1, {Errno.NOTDIR}),
    ):
        assert guest.open(b"f", directory=descriptor) in errors
        assert guest.status(b"f", directory=descriptor) in errors
        assert guest.readlink(b"f", directory=descriptor) in errors
        assert guest.symlink(b"f", b"g", directory=descriptor) in errors
        for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
            assert guest.on_path(name, b"f", directory=descriptor) in errors
        assert guest.on_paths("path_rename", b"f", b"g", directory=descriptor) in errors
        assert guest.on_paths("path_rename", b"f", b"g", new_directory=descriptor) in errors
        assert guest.on_paths("path_link", b"f", b"g", 0, new_directory=descriptor) in errors


def test_flags_that_cannot_be(guest):
    make(guest, b"f")
    assert guest.open(b"f", 16) is Errno.INVAL
    assert guest.open(b"f", file_flags=32) is Errno.INVAL
    assert guest.open(b"f", follow=2) is Errno.INVAL
    assert guest.open(b"d", CREATE | DIRECTORY) is Errno.INVAL
    assert guest.status(b"f", follow=2) is Errno.INVAL
    assert guest.on_paths("path_link", b"f", b"g", 2) is Errno.INVAL
    guest.put(0x1000, b"f")
    for flags in (1 | 2, 4 | 8, 16):
        assert guest.call("path_filestat_set_times", ROOT, 0, 0x1000, 1, 1, 1, flags) is Errno.INVAL


def test_times(guest):
    make(guest, b"f")
    guest.put(0x1000, b"f")
    assert guest.call("path_filestat_set_times", ROOT, 0, 0x1000, 1, 5, 7, 1 | 4) is Errno.SUCCESS
    assert (guest.status(b"f")["access"], guest.status(b"f")["modification"]) == (5, 7)
    assert guest.call("path_filestat_set_times", ROOT, 0, 0x1000, 1, 9, 9, 4) is Errno.SUCCESS
    assert (guest.status(b"f")["access"], guest.status(b"f")["modification"]) == (5, 9)
    assert guest.call("path_filestat_set_times", ROOT, 0, 0x1000, 1, 9, 9, 2) is Errno.SUCCESS
    assert guest.status(b"f")["access"] > 1_000_000_000_000_000_000
    assert guest.status(b"f")["modification"] == 9
    number = guest.open(b"f")
    assert guest.call("fd_filestat_set_times", number, 3, 4, 1 | 4) is Errno.SUCCESS
    assert guest.fd_status(number)["modification"] == 4


def test_sizes_and_positions(guest):
    number = guest.open(b"f", CREATE)
    assert guest.call("fd_filestat_set_size", number, 10) is Errno.SUCCESS
    assert guest.read(number, 20) == bytes(10)
    assert guest.call("fd_tell", number, 0) is Errno.SUCCESS
    assert guest.number_at(0, 8) == 10
    assert guest.call("fd_seek", number, (1 << 64) - 4, 1, 0) is Errno.SUCCESS
    assert guest.number_at(0, 8) == 6
    assert guest.call("fd_seek", number, (1 << 64) - 40, 1, 0) is Errno.INVAL
    assert guest.call("fd_seek", number, 0, 3, 0) is Errno.INVAL
    assert guest.call("fd_seek", number, 5, 2, 0) is Errno.SUCCESS
    assert guest.write(number, b"x") == 1
    assert guest.fd_status(number)["size"] == 16
    assert guest.read(number, 10, 1 << 63) is Errno.INVAL
    assert guest.write(number, b"x", 1 << 63) is Errno.INVAL
    assert guest.call("fd_filestat_set_size", number, 1 << 63) is Errno.INVAL
    assert guest.call("fd_allocate", number, 0, 0) is Errno.INVAL
    assert guest.call("fd_allocate", number, 10, 20) is Errno.SUCCESS
    assert guest.fd_status(number)["size"] == 30
    assert guest.call("fd_advise", number, 0, 10, 5) is Errno.SUCCESS
    assert guest.call("fd_advise", number, 0, 10, 6) is Errno.INVAL
    assert guest.call("fd_sync", number) is Errno.SUCCESS
    assert guest.call("fd_datasync", number) is Errno.SUCCESS


def test_appending(guest):
    make(guest, b"f", b"123")
    number = guest.open(b"f", file_flags=APPEND)
    assert guest.write(number, b"4") == 1
    assert guest.call("fd_seek", number, 0, 0, 0) is Errno.SUCCESS
    assert guest.write(number, b"5") == 1
    assert guest.call("fd_fdstat_set_flags", number, NONBLOCK) is Errno.SUCCESS
    assert guest.call("fd_seek", number, 0, 0, 0) is Errno.SUCCESS
    assert guest.write(number, b"0") == 1
    assert content_of(guest, b"f") == b"02345"
    assert guest.call("fd_fdstat_set_flags", number, DSYNC) is Errno.INVAL
    assert guest.call("fd_fdstat_set_flags", number, 32) is Errno.INVAL


def test_rights_are_enough_or_not(guest):
    make(guest, b"f", b"content")
    number = guest.open(b"f", rights=FD_READ | FD_SEEK)
    assert guest.read(number, 3) == b"con"
    assert guest.write(number, b"x") is Errno.NOTCAPABLE
    assert guest.call("fd_filestat_set_size", number, 0) is Errno.NOTCAPABLE
    writer = guest.open(b"f", rights=FD_WRITE)
    assert guest.read(writer, 3) is Errno.NOTCAPABLE
    directory = guest.open(b".", DIRECTORY, PATH_OPEN, inheriting=FD_READ)
    assert guest.open(b"f", rights=FD_READ, directory=directory) > ROOT
    assert guest.open(b"g", CREATE, FD_READ, directory=directory) is Errno.NOTCAPABLE
    assert guest.open(b"f", rights=FD_WRITE, directory=directory) is Errno.NOTCAPABLE
    assert guest.on_path("path_create_directory", b"x", directory=directory) is Errno.NOTCAPABLE
    assert guest.on_path("path_unlink_file", b"f", directory=directory) is Errno.NOTCAPABLE
    assert PATH_CREATE_FILE  # is what was missing


def test_a_removed_file_lives_until_it_is_closed(guest):
    make(guest, b"f", b"content")
    number = guest.open(b"f")
    assert guest.on_path("path_unlink_file", b"f") is Errno.SUCCESS
    assert guest.read(number, 10) == b"content"
    assert guest.fd_status(number)["links"] == 0
    assert guest.close(number) is Errno.SUCCESS
    assert guest.close(number) is Errno.BADF


def test_open_files_are_limited_and_closed_with_the_instance(store, files):
    guest = RawGuest(store, files, most_handles=10)
    make(guest, b"f")
    numbers = []
    while not isinstance(number := guest.open(b"f"), Errno):
        numbers.append(number)
    assert number is Errno.MFILE
    assert len(numbers) == 9
    assert guest.open(b"new", CREATE) is Errno.MFILE
    assert guest.status(b"new") is Errno.NOENT
    assert guest.close(numbers[3]) is Errno.SUCCESS
    assert guest.open(b"f") == numbers[3]
    handles = guest.system.program.handles
    guest.instance.close()
    assert len(handles) == 0


def test_nothing_moves_between_file_systems(store, files):
    guest = RawGuest(store, files, MemoryFileSystem())
    make(guest, b"f")
    assert guest.on_paths("path_rename", b"f", b"g", new_directory=ROOT + 1) is Errno.XDEV
    assert guest.on_paths("path_link", b"f", b"g", 0, new_directory=ROOT + 1) is Errno.XDEV


def test_nothing_is_changed_where_that_is_not_allowed(store, files):
    writable = RawGuest(store, files)
    make(writable, b"f", b"content")
    assert writable.on_path("path_create_directory", b"d") is Errno.SUCCESS
    _assert_nothing_changes(RawGuest(store, files, read_only=True))


def test_nothing_is_changed_in_an_archive(store):
    _assert_nothing_changes(RawGuest(store, open_archive(tar_files({"f": b"content", "d/x": b""}))))


def _assert_nothing_changes(guest: RawGuest) -> None:
    assert guest.open(b"f", CREATE | TRUNCATE) is Errno.ROFS
    assert guest.open(b"g", CREATE, FD_READ) is Errno.ROFS
    assert guest.open(b"f", TRUNCATE, FD_READ) is Errno.ROFS
    for name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
        assert guest.on_path(name, b"new" if name == "path_create_directory" else b"f") is Errno.ROFS
    assert guest.on_paths("path_rename", b"f", b"g") is Errno.ROFS
    assert guest.on_paths("path_link", b"f", b"g", 0) is Errno.ROFS
    assert guest.symlink(b"f", b"g") is Errno.ROFS
    number = guest.open(b"f", rights=FD_READ)
    assert guest.read(number, 100) == b"content"
    assert guest.call("fd_filestat_set_times", number, 1, 1, 4) in (Errno.ROFS, Errno.NOTCAPABLE)
    names = [name for name, _, _ in guest.entries(guest.open(b".", DIRECTORY))]
    assert sorted(names) == [b".", b"..", b"d", b"f"]


def test_nothing_is_left_outside(store, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink("../secret", tmp_path / "inside" / "l")
    guest = RawGuest(store, HostDirectory(tmp_path / "inside"))
    assert guest.open(b"l") is Errno.PERM
    assert guest.open(b"l", CREATE | TRUNCATE) is Errno.PERM
    assert guest.on_paths("path_link", b"l", b"m", 0) is Errno.SUCCESS
    assert guest.open(b"m") is Errno.PERM
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert sorted(os.listdir(tmp_path)) == ["inside", "secret"]
