"""Arguments, environment, clocks, random numbers, ends of programs."""

from __future__ import annotations

import time

import pytest

from farcall.engine import LinkError, ProgramExit
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.families import CALLS
from farcall.engine.host.wasi.system import WasiSystem
from tests.engine.guests import wasm
from tests.engine.host.wasi.wasi_guest import UNSTABLE, WasiGuest

PREVIEW_1_FUNCTIONS = """
args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate fd_close
fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_seek
fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open
path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise
sched_yield random_get sock_accept sock_recv sock_send sock_shutdown
"""


def test_every_function_of_preview_1_is_there():
    assert set(CALLS) == set(PREVIEW_1_FUNCTIONS.split())


def test_arguments_are_stored_with_pointers_to_them(guest):
    count, size = guest.room(4), guest.room(4)
    assert guest.args_sizes_get(count, size) == 0
    content = b"program\0first\0" + "ä".encode() + b"\0"
    assert (guest.number(count), guest.number(size)) == (3, len(content))
    pointers, buffer = guest.room(12), guest.room(len(content))
    assert guest.args_get(pointers, buffer) == 0
    assert guest.memory.read(buffer, len(content)) == content
    assert guest.unpack("<3I", pointers) == (buffer, buffer + 8, buffer + 14)


def test_environment_is_name_and_value(guest):
    count, size = guest.room(4), guest.room(4)
    assert guest.environ_sizes_get(count, size) == 0
    assert (guest.number(count), guest.number(size)) == (2, 7)
    pointers, buffer = guest.room(8), guest.room(7)
    assert guest.environ_get(pointers, buffer) == 0
    assert guest.memory.read(buffer, 7) == b"A=1\0B=\0"


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [(["a\0b"], {}, "an argument"), ([], {"A=B": "1"}, "a '='"), ([], {"A": "\0"}, "a variable's value")],
)
def test_what_no_program_could_read_is_refused(arguments, environment, message):
    with pytest.raises(ValueError, match=message):
        WasiSystem(arguments, environment)


def test_clocks(guest):
    place = guest.room(8)
    for clock, now in ((0, time.time_ns), (1, time.monotonic_ns)):
        before = now()
        assert guest.clock_time_get(clock, 0, place) == 0
        assert before <= guest.unpack("<Q", place)[0] <= now()
    for clock in range(4):
        assert guest.clock_time_get(clock, 10**18, place) == 0
        assert guest.clock_res_get(clock, place) == 0
        assert 0 < guest.unpack("<Q", place)[0] <= 10**9
    for clock in (4, 2**32 - 1):
        assert guest.clock_time_get(clock, 0, place) == Errno.INVAL
        assert guest.clock_res_get(clock, place) == Errno.INVAL


def test_random_bytes_differ_and_stay_within_the_buffer(guest):
    place = guest.room(4096)
    assert guest.random_get(place, 0) == 0
    assert guest.random_get(place, 2048) == 0
    first = guest.memory.read(place, 4096)
    assert guest.random_get(place, 2048) == 0
    assert guest.memory.read(place, 2048) != first[:2048]
    assert first[2048:] == bytes(2048)


@pytest.mark.parametrize("code", [0, 7, 255, 256, 2**32 - 1])
def test_the_exit_code_reaches_the_caller_as_it_is(guest, code):
    with pytest.raises(ProgramExit) as caught:
        guest.proc_exit(code)
    assert caught.value.code == code
    assert guest.sched_yield() == 0  # the instance stays usable


def test_signals_end_the_program_as_shells_tell_it(guest):
    with pytest.raises(ProgramExit) as caught:
        guest.proc_raise(6)  # ABRT
    assert caught.value.code == 134
    assert guest.proc_raise(0) == 0
    assert guest.proc_raise(16) == 0  # CHLD is ignored where nobody handles it
    assert guest.proc_raise(18) == Errno.NOTSUP
    assert guest.proc_raise(31) == Errno.INVAL


def test_a_function_that_wasi_does_not_have_does_not_link(store, system):
    source = wasm('(module (import "wasi_snapshot_preview1" "fd_fly" (func)))')
    with pytest.raises(LinkError, match="fd_fly"):
        store.instantiate(store.engine.load_module(source), system.imports)


def test_a_function_of_another_type_does_not_link(store, system):
    source = wasm('(module (import "wasi_snapshot_preview1" "sched_yield" (func (param i64))))')
    with pytest.raises(LinkError, match="sched_yield"):
        store.instantiate(store.engine.load_module(source), system.imports)


def test_the_first_snapshot_counts_offsets_and_links_otherwise(store, system):
    guest = WasiGuest(store, system, UNSTABLE)
    error, number = guest.open(b"file", oflags=1)
    assert error == 0
    assert guest.write(number, b"0123456789") == (0, 10)
    position = guest.room(8)
    for offset, whence, wanted in ((-2, 1, 8), (3, 2, 3), (4, 0, 7)):  # END, SET, CURRENT
        assert guest.fd_seek(number, offset, whence, position) == 0
        assert guest.unpack("<Q", position) == (wanted,)
    status = guest.room(56)
    guest.memory.write(status + 48 + 8, b"\xaa")
    assert guest.fd_filestat_get(number, status) == 0
    _device, _inode, kind, links, size, *_times = guest.unpack("<QQB3xIQQQQ", status)
    assert (kind, links, size) == (4, 1, 10)
    assert guest.memory.read(status + 56, 1) == b"\xaa"  # it is 56 bytes long, not 64
