"""Whatever a guest passes: an error number, never an exception, and nothing left open."""

from __future__ import annotations

import os
import random
import struct

import pytest

from farcall.engine import ProgramExit
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.families import CALLS

END = 2 << 16
HUGE = (1 << 32) - 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("args_sizes_get", (END - 3, 0)),
        ("args_sizes_get", (0, END)),
        ("args_get", (END - 4, 0)),
        ("args_get", (0, END - 1)),
        ("environ_get", (0, HUGE)),
        ("clock_time_get", (0, 0, END - 7)),
        ("clock_res_get", (0, END - 7)),
        ("random_get", (END - 1, 2)),
        ("random_get", (HUGE, HUGE)),
        ("fd_write", (1, END - 4, 1, 0)),
        ("fd_write", (1, 8, 1, END - 3)),
        ("fd_read", (0, HUGE, 1, 0)),
        ("fd_fdstat_get", (0, END - 23)),
        ("fd_filestat_get", (3, END - 63)),
        ("fd_prestat_get", (3, END - 7)),
        ("fd_prestat_dir_name", (3, END - 4, 5)),
        ("fd_readdir", (3, END - 1, 2, 0, 0)),
        ("fd_readdir", (3, 0, 64, 0, END - 1)),
        ("path_create_directory", (3, END - 1, 2)),
        ("path_create_directory", (3, HUGE, HUGE)),
        ("path_filestat_get", (3, 0, 56, 1, END - 63)),
        ("path_readlink", (3, 56, 1, END - 1, 2, 0)),
        ("path_open", (3, 0, 56, 1, 1, 0, 0, 0, END - 3)),
        ("poll_oneoff", (END - 47, 0, 1, 0)),
        ("poll_oneoff", (0, END - 31, 1, 0)),
    ],
)
def test_pointers_out_of_memory_are_faults(guest, name, arguments):
    guest.memory.write(8, struct.pack("<II", 0, 4))
    guest.memory.write(56, b".")
    assert getattr(guest, name)(*arguments) == Errno.FAULT


def test_vectors_out_of_memory_write_nothing(guest, output):
    vectors = guest.put(struct.pack("<IIII", 0, 4, END - 1, 2))
    assert guest.fd_write(1, vectors, 2, 0) == Errno.FAULT
    assert output.content == b""


def test_a_million_vectors_are_refused(guest, output):
    assert guest.fd_write(1, 0, 1_000_000, 0) == Errno.FAULT  # the array is larger than the memory
    guest.instance.memory("memory").grow(128)
    assert guest.fd_write(1, 0, 1_000_000, 0) == Errno.INVAL
    assert guest.fd_write(1, 0, 1024, 0) == 0  # all of them empty
    assert guest.fd_read(0, 0, 1_000_000, 0) == Errno.INVAL


def test_vectors_of_more_than_4_gib_are_refused(guest, output):
    whole = struct.pack("<II", 0, 16 << 20)
    guest.instance.memory("memory").grow(254)
    place = 1 << 20
    guest.memory.write(place, whole * 300)
    assert guest.fd_write(1, place, 300, 64) == Errno.INVAL
    assert output.content == b""


def test_buffers_may_overlap_each_other_and_the_vectors(guest):
    place = guest.put(struct.pack("<IIII", 64, 3, 66, 2))
    assert place == 64
    assert guest.fd_read(0, place, 2, 200) == 0
    assert guest.memory.read(64, 4) == b"inut"
    assert guest.number(200) == 5


def test_memory_that_has_grown_is_seen(guest):
    assert guest.random_get(END, 8) == Errno.FAULT
    guest.instance.memory("memory").grow(1)
    assert guest.random_get(END, 8) == 0
    assert guest.memory.read(END, 8) != bytes(8)


INTERESTING = (0, 1, 2, 3, 4, 8, 63, 64, 100, 4096, END - 1, END, 1 << 31, HUGE)


@pytest.mark.parametrize("seed", range(8))
def test_any_arguments_give_an_error_number(store, system, guest, seed):
    numbers = random.Random(seed)
    before = len(os.listdir("/proc/self/fd"))
    guest.memory.write(64, b"name" + bytes(60) + struct.pack("<II", 64, 16) * 8)
    names = [name for name in CALLS if name != "poll_oneoff"]
    for _ in range(1500):
        name = numbers.choice(names)
        arguments = [
            numbers.choice(INTERESTING) if value_type.size == 4 else numbers.getrandbits(64)
            for value_type in CALLS[name].type.parameters
        ]
        try:
            error = getattr(guest, name)(*arguments)
        except ProgramExit:
            continue
        assert 0 <= error <= Errno.NOTCAPABLE, (name, arguments)
        if name == "fd_close" and arguments[0] == 3:
            break
    guest.instance.close()
    assert len(system.program.handles) == 0
    assert len(os.listdir("/proc/self/fd")) <= before
