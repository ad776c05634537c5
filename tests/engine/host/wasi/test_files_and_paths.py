"""Descriptors and paths: rights, numbers, positions, errors. What file systems do is tested with them."""

from __future__ import annotations

import pytest

from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.errno import Errno

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8


def test_reading_and_writing_in_vectors(guest):
    error, number = guest.open(b"file", CREATE)
    assert (error, number) == (0, 4)
    assert guest.write(number, b"one ", b"", b"two ", b"three") == (0, 13)
    position = guest.room(8)
    assert guest.fd_seek(number, -9, 2, position) == 0
    assert guest.unpack("<Q", position) == (4,)
    assert guest.read(number, 2, 0, 100) == (0, b"two three")
    assert guest.read(number, 10) == (0, b"")
    assert guest.fd_tell(number, position) == 0
    assert guest.unpack("<Q", position) == (13,)
    count = guest.room(4)
    vectors = guest.vectors(3)
    assert guest.fd_pread(number, *vectors, 4, count) == 0
    assert guest.number(count) == 3
    assert guest.fd_pwrite(number, *guest.vectors(b"T"), 4, count) == 0
    assert guest.fd_tell(number, position) == 0
    assert guest.unpack("<Q", position) == (13,)


def test_a_seek_before_the_start_and_an_unknown_whence(guest):
    _, number = guest.open(b"file", CREATE)
    place = guest.room(8)
    assert guest.fd_seek(number, -1, 0, place) == Errno.INVAL
    assert guest.fd_seek(number, 0, 3, place) == Errno.INVAL
    assert guest.fd_pread(number, *guest.vectors(1), 1 << 63, place) == Errno.INVAL


def test_numbers_are_the_lowest_that_are_free(guest):
    numbers = [guest.open(b"%d" % each, CREATE)[1] for each in range(4)]
    assert numbers == [4, 5, 6, 7]
    assert guest.fd_close(5) == 0
    assert guest.fd_close(4) == 0
    assert guest.fd_close(4) == Errno.BADF
    assert guest.open(b"a", CREATE)[1] == 4
    assert guest.open(b"b", CREATE)[1] == 5
    assert guest.open(b"c", CREATE)[1] == 8


def test_renumbering_closes_what_had_the_number(guest, system):
    _, first = guest.open(b"first", CREATE)
    _, second = guest.open(b"second", CREATE)
    assert guest.write(first, b"1") == (0, 1)
    before = len(system.program.handles)
    assert guest.fd_renumber(first, second) == 0
    assert len(system.program.handles) == before - 1
    assert guest.write(second, b"1") == (0, 1)
    assert guest.write(first, b"1")[0] == Errno.BADF
    assert guest.fd_renumber(second, second) == 0
    assert guest.fd_renumber(second, 99) == Errno.BADF
    assert guest.fd_renumber(99, second) == Errno.BADF
    status = guest.room(64)
    assert guest.path_filestat_get(3, 0, *guest.path(b"first"), status) == 0
    assert guest.unpack("<Q", status + 32) == (2,)


def test_preopened_directories_tell_their_names(guest):
    place = guest.room(16)
    assert guest.fd_prestat_get(3, place) == 0
    assert guest.unpack("<BxxxI", place) == (0, 5)
    assert guest.fd_prestat_dir_name(3, place, 4) == Errno.NAMETOOLONG
    assert guest.fd_prestat_dir_name(3, place, 16) == 0
    assert guest.memory.read(place, 5) == b"/data"
    assert guest.fd_prestat_get(0, place) == Errno.BADF
    assert guest.fd_prestat_get(4, place) == Errno.BADF


def test_rights_can_only_be_given_up(guest):
    _, number = guest.open(b"file", CREATE)
    status = guest.room(24)
    assert guest.fd_fdstat_get(number, status) == 0
    kind, flags, base, inheriting = guest.unpack("<BxHxxxxQQ", status)
    assert (kind, flags, base, inheriting) == (4, 0, rights.REGULAR_FILE, 0)
    assert guest.fd_fdstat_set_rights(number, base & ~rights.FD_WRITE, 0) == 0
    assert guest.write(number, b"x")[0] == Errno.NOTCAPABLE
    assert guest.fd_fdstat_set_rights(number, base, 0) == Errno.NOTCAPABLE
    assert guest.fd_fdstat_set_rights(number, 0, 1) == Errno.NOTCAPABLE
    assert guest.read(number, 1) == (0, b"")


@pytest.mark.parametrize(
    ("right", "call"),
    [
        (rights.FD_READ, lambda guest, n: guest.read(n, 1)[0]),
        (rights.FD_WRITE, lambda guest, n: guest.write(n, b"x")[0]),
        (rights.FD_SYNC, lambda guest, n: guest.fd_sync(n)),
        (rights.FD_DATASYNC, lambda guest, n: guest.fd_datasync(n)),
        (rights.FD_ADVISE, lambda guest, n: guest.fd_advise(n, 0, 1, 0)),
        (rights.FD_ALLOCATE, lambda guest, n: guest.fd_allocate(n, 0, 1)),
        (rights.FD_FILESTAT_GET, lambda guest, n: guest.fd_filestat_get(n, 1024)),
        (rights.FD_FILESTAT_SET_SIZE, lambda guest, n: guest.fd_filestat_set_size(n, 3)),
        (rights.FD_FILESTAT_SET_TIMES, lambda guest, n: guest.fd_filestat_set_times(n, 0, 0, 0)),
        (rights.FD_FDSTAT_SET_FLAGS, lambda guest, n: guest.fd_fdstat_set_flags(n, 1)),
        (rights.FD_SEEK, lambda guest, n: guest.fd_seek(n, 1, 0, 1024)),
        (rights.FD_SEEK | rights.FD_TELL, lambda guest, n: guest.fd_tell(n, 1024)),
    ],
)
def test_each_call_needs_its_right(guest, right, call):
    _, number = guest.open(b"file", CREATE)
    guest.room(2048)
    assert call(guest, number) == 0
    assert guest.fd_fdstat_set_rights(number, rights.REGULAR_FILE & ~right, 0) == 0
    assert call(guest, number) == Errno.NOTCAPABLE


@pytest.mark.parametrize(
    ("right", "call"),
    [
        (rights.PATH_OPEN, lambda g: g.open(b"f", rights=0, inheriting=0)[0]),
        (rights.PATH_CREATE_FILE, lambda g: g.open(b"f", CREATE, rights=0, inheriting=0)[0]),
        (rights.PATH_FILESTAT_SET_SIZE, lambda g: g.open(b"f", TRUNCATE, rights=0, inheriting=0)[0]),
        (rights.PATH_CREATE_DIRECTORY, lambda g: g.path_create_directory(3, *g.path(b"d"))),
        (rights.PATH_REMOVE_DIRECTORY, lambda g: g.path_remove_directory(3, *g.path(b"e"))),
        (rights.PATH_UNLINK_FILE, lambda g: g.path_unlink_file(3, *g.path(b"u"))),
        (rights.PATH_FILESTAT_GET, lambda g: g.path_filestat_get(3, 0, *g.path(b"f"), 4096)),
        (rights.PATH_FILESTAT_SET_TIMES, lambda g: g.path_filestat_set_times(3, 0, *g.path(b"f"), 1, 1, 5)),
        (rights.PATH_LINK_SOURCE, lambda g: g.path_link(3, 0, *g.path(b"f"), 3, *g.path(b"l"))),
        (rights.PATH_LINK_TARGET, lambda g: g.path_link(3, 0, *g.path(b"f"), 3, *g.path(b"l"))),
        (rights.PATH_RENAME_SOURCE, lambda g: g.path_rename(3, *g.path(b"f"), 3, *g.path(b"r"))),
        (rights.PATH_RENAME_TARGET, lambda g: g.path_rename(3, *g.path(b"f"), 3, *g.path(b"r"))),
        (rights.PATH_SYMLINK, lambda g: g.path_symlink(*g.path(b"f"), 3, *g.path(b"s"))),
        (rights.PATH_READLINK, lambda g: g.path_readlink(3, *g.path(b"k"), 4096, 8, 4112)),
        (rights.FD_READDIR, lambda g: g.fd_readdir(3, 4096, 100, 0, 4200)),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_each_path_call_needs_its_right(guest, right, call, given):
    for name in (b"f", b"u"):
        assert guest.fd_close(guest.open(name, CREATE)[1]) == 0
    assert guest.path_create_directory(3, *guest.path(b"e")) == 0
    assert guest.path_symlink(*guest.path(b"f"), 3, *guest.path(b"k")) == 0
    guest.room(8192)
    if given:
        assert call(guest) == 0
        return
    assert guest.fd_fdstat_set_rights(3, rights.DIRECTORY & ~right, rights.INHERITABLE) == 0
    assert call(guest) == Errno.NOTCAPABLE


def test_a_directory_hands_on_no_more_than_it_may(guest):
    assert guest.fd_fdstat_set_rights(3, rights.DIRECTORY, rights.INHERITABLE & ~rights.FD_WRITE) == 0
    assert guest.open(b"file", CREATE)[0] == Errno.NOTCAPABLE
    allowed = rights.INHERITABLE & ~rights.FD_WRITE
    error, number = guest.open(b"file", CREATE, allowed, allowed)
    assert error == 0
    assert guest.write(number, b"x")[0] == Errno.NOTCAPABLE


def test_what_is_no_directory_has_no_paths(guest):
    _, number = guest.open(b"file", CREATE)
    assert guest.open(b"x", CREATE, directory=number)[0] == Errno.NOTDIR
    assert guest.path_unlink_file(1, *guest.path(b"x")) == Errno.NOTDIR
    assert guest.open(b"x", CREATE, directory=99)[0] == Errno.BADF


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"../x", Errno.PERM),
        (b"/etc/passwd", Errno.PERM),
        (b"a\0b", Errno.ILSEQ),
        (b"\xff\xfe", Errno.ILSEQ),
        (b"", Errno.NOENT),
        (b"x" * 256, Errno.NAMETOOLONG),
        (b"x/" * 20000, Errno.NAMETOOLONG),
        (b"missing", Errno.NOENT),
    ],
)
def test_paths_that_lead_nowhere(guest, path, error):
    found = guest.open(path)[0]
    assert found in ({Errno.ILSEQ, Errno.INVAL} if error == Errno.ILSEQ else {error})


def test_unknown_flags_are_invalid(guest):
    assert guest.open(b"file", 16)[0] == Errno.INVAL
    assert guest.open(b"file", CREATE, fdflags=32)[0] == Errno.INVAL
    assert guest.open(b"file", CREATE, lookup=2)[0] == Errno.INVAL
    _, number = guest.open(b"file", CREATE)
    assert guest.fd_fdstat_set_flags(number, 32) == Errno.INVAL
    assert guest.fd_advise(number, 0, 0, 6) == Errno.INVAL
    assert guest.fd_filestat_set_times(number, 0, 0, 16) == Errno.INVAL
    assert guest.fd_filestat_set_times(number, 0, 0, 3) == Errno.INVAL


def test_a_failed_open_leaves_nothing_open(guest, system):
    before = len(system.program.handles), len(system.program.descriptors)
    memory = guest.memory.size
    place = guest.path(b"file")
    error = guest.path_open(3, 0, *place, CREATE, rights.FD_READ, 0, 0, memory - 2)
    assert error == Errno.FAULT
    assert (len(system.program.handles), len(system.program.descriptors)) == before


def test_open_files_are_limited_and_all_are_closed_with_the_instance(guest, system):
    system.program.handles.limit = 5
    errors = [guest.open(b"file", CREATE)[0] for _ in range(6)]
    assert errors == [0, 0, 0, 0, Errno.MFILE, Errno.MFILE]  # the directory is one of them
    guest.instance.close()
    assert len(system.program.handles) == 0
    assert len(system.program.descriptors) == 0


def test_entries_are_cut_where_they_do_not_fit_and_cookies_go_on(guest):
    names = [b"file-%03d" % number for number in range(50)]
    for name in names:
        assert guest.fd_close(guest.open(name, CREATE)[1]) == 0
    place, used = guest.room(100), guest.room(4)
    found, cookie = [], 0
    while True:
        assert guest.fd_readdir(3, place, 100, cookie, used) == 0
        filled = guest.number(used)
        content = guest.memory.read(place, filled)
        while len(content) >= 24:
            length = int.from_bytes(content[16:20], "little")
            if len(content) < 24 + length:
                break
            found.append(content[24 : 24 + length])
            cookie = int.from_bytes(content[:8], "little")
            content = content[24 + length :]
        if filled < 100:
            break
    assert sorted(found) == sorted([b".", b"..", *names])


def test_a_link_is_read_as_far_as_there_is_room(guest):
    assert guest.path_symlink(*guest.path(b"target"), 3, *guest.path(b"link")) == 0
    place, used = guest.room(16), guest.room(4)
    assert guest.path_readlink(3, *guest.path(b"link"), place, 3, used) == 0
    assert guest.memory.read(place, guest.number(used)) == b"tar"
    assert guest.open(b"link", lookup=0)[0] == Errno.LOOP
