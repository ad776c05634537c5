"""Directories of the host: descriptors, listings, files; ways out of them are in `test_escapes.py`."""

from __future__ import annotations

import gc
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.interface import Advice, FileFlags, FileType, TimeChange, Whence
from farcall.engine.host.filesystem.open_handles import OpenHandles
from farcall.engine.host.filesystem.system_calls import kernel_has_openat2
from farcall.engine.host.wasi.errno import Errno
from tests.engine.host.filesystem.trees import (
    CREATE,
    DIRECTORY,
    NO_FLAGS,
    NOTHING,
    errno_of,
    get,
    names,
    open_file,
    outcome,
    put,
    root_of,
)


def descriptors_below(path: Path) -> list[str]:
    """What of a directory this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if target.startswith(str(path)):
            found.append(target)
    return found


@pytest.mark.parametrize("openat2", [True, False])
def test_no_descriptor_stays_open(outside, openat2):
    inside = outside / "inside"
    os.symlink("d/..", inside / "l")
    os.symlink("l/l/l", inside / "m")
    os.symlink("../..", inside / "out")
    os.symlink("loop", inside / "loop")
    os.mkfifo(inside / "fifo")
    gc.collect()
    system = HostDirectory(inside, openat2=openat2 and kernel_has_openat2())
    handles = OpenHandles(8)
    root = system.open_root(handles)
    paths = [b"file", b"d/file", b"l/m/d/../d/file", b"out/x", b"d/../../x", b"loop", b"loop/x", b"fifo", b"missing/x",
             b"file/x", b"m", b"m/d", b"d/" + b"n" * 300, b"d/d/d", b"/etc", b"l/out", b"d/../d/../out"]  # fmt: skip
    for path in paths:
        for action in (
            partial(open_file, root, path),
            partial(open_file, root, path, CREATE, write=True),
            partial(open_file, root, path, DIRECTORY),
        ):
            result = outcome(action)
            if not isinstance(result, Errno):
                list(root.read_directory(0))
                result.close()
                result.close()
        for action in (
            partial(root.path_status, path, follow=True),
            partial(root.path_set_times, path, 1, 1, follow=True),
            partial(root.readlink, path),
            partial(root.create_directory, path),
            partial(root.remove_directory, path),
            partial(root.rename, path, root, b"d/x/y"),
            partial(root.rename, b"missing", root, path),
            partial(root.link, path, root, b"d/x/y", follow=True),
            partial(root.symlink, b"x", path),
        ):
            outcome(action)
    assert len(descriptors_below(inside)) == 2
    while not isinstance(outcome(partial(open_file, root, b"d")), Errno):
        pass
    assert errno_of(open_file, root, b"d/file") is Errno.MFILE
    assert errno_of(open_file, root, b"new", CREATE, write=True) is Errno.MFILE
    assert b"new" not in names(root)
    assert len(descriptors_below(inside)) == 9
    handles.close()
    assert len(descriptors_below(inside)) == 1
    system.close()
    system.close()
    assert descriptors_below(inside) == []
    assert errno_of(root.path_status, b"file", follow=True) is Errno.BADF
    assert errno_of(root.status) is Errno.BADF


def test_a_closed_file_never_uses_another_one_s_descriptor(host, outside):
    root = root_of(host)
    file = open_file(root, b"file", write=True)
    file.close()
    other = os.open(outside / "secret", os.O_RDWR)  # which gets the number
    try:
        for action in (
            partial(file.read, [memoryview(bytearray(1))]),
            partial(file.write, [memoryview(b"x")]),
            partial(file.pread, [memoryview(bytearray(1))], 0),
            partial(file.pwrite, [memoryview(b"x")], 0),
            partial(file.seek, 0, Whence.SET),
            file.status,
            file.sync,
            file.sync_data,
            partial(file.set_size, 0),
            partial(file.set_flags, FileFlags.APPEND),
            partial(file.set_times, 1, 1),
            partial(file.allocate, 0, 1),
            partial(file.advise, 0, 1, Advice.NORMAL),
        ):
            assert errno_of(action) is Errno.BADF
    finally:
        os.close(other)


def test_closing_waits_for_who_is_in_a_call(host):
    root = root_of(host)
    stop = threading.Event()
    results: set[object] = set()

    def work(directory) -> None:
        while not stop.is_set():
            results.add(outcome(partial(get, directory, b"file")))

    threads = []
    for _ in range(3):
        directory = open_file(root, b"d")
        threads.append(threading.Thread(target=work, args=(directory,)))
        threads[-1].start()
        directory.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert results <= {b"file in d", Errno.BADF}


def test_a_large_directory_is_listed_whole_and_from_any_cookie(host, outside):
    made = {b"file-%03d" % number for number in range(700)}
    (outside / "inside" / "many").mkdir()
    for name in made:
        (outside / "inside" / "many" / os.fsdecode(name)).touch()
    directory = open_file(root_of(host), b"many")
    entries = list(directory.read_directory(0))
    assert [entry.name for entry in entries[:2]] == [b".", b".."]
    assert {entry.name for entry in entries[2:]} == made
    assert len(entries) == 702
    for position in (0, 1, 2, 3, 300, 698, 701):
        behind = list(directory.read_directory(entries[position].next_cookie))
        assert [entry.name for entry in behind] == [entry.name for entry in entries[position + 1 :]]
    assert errno_of(lambda: list(directory.read_directory((1 << 64) - 1))) is Errno.INVAL


def test_cookies_stay_valid_while_the_directory_changes(host, outside):
    path = outside / "inside" / "many"
    path.mkdir()
    for number in range(600):
        (path / f"{number:03}").touch()
    directory = open_file(root_of(host), b"many")
    seen: list[bytes] = []
    cookie = 2
    while True:
        batch = [entry for entry, _ in zip(directory.read_directory(cookie), range(11), strict=False)]
        if not batch:
            break
        cookie = batch[-1].next_cookie
        for entry in batch:
            if not entry.name.startswith(b"new"):
                seen.append(entry.name)
                if int(entry.name) % 2:
                    directory.unlink(entry.name)
                elif int(entry.name) % 20 == 0:
                    put(directory, b"new-" + entry.name, b"")
    assert sorted(seen) == [b"%03d" % number for number in range(600)]
    assert sum(not name.startswith(b"new") for name in names(directory)) == 300


def test_two_listings_of_one_handle_do_not_disturb_each_other(host, outside):
    path = outside / "inside" / "many"
    path.mkdir()
    for number in range(2000):
        (path / f"{number:04}-{'x' * 40}").touch()
    directory = open_file(root_of(host), b"many")
    alone = [entry.name for entry in directory.read_directory(0)]
    first, second = directory.read_directory(0), directory.read_directory(0)
    for left, right in zip(first, second, strict=True):
        assert left == right
    halfway = [entry.name for entry, _ in zip(directory.read_directory(0), range(1500), strict=False)]
    assert halfway == alone[:1500]
    assert sorted(alone) == sorted(os.fsencode(name) for name in [".", "..", *os.listdir(path)])


def test_a_removed_directory_is_empty(host):
    root = root_of(host)
    root.create_directory(b"gone")
    directory = open_file(root, b"gone")
    root.remove_directory(b"gone")
    assert names(directory) == []
    assert errno_of(open_file, directory, b"x", CREATE, write=True) is Errno.NOENT
    assert directory.status().links == 0


def test_types_and_identities_of_entries(host, outside):
    os.symlink("file", outside / "inside" / "l")
    root = root_of(host)
    for entry in root.read_directory(2):
        status = root.path_status(entry.name, follow=False)
        assert (entry.type, entry.inode) == (status.type, status.inode)
        file = outside / "inside" / os.fsdecode(entry.name)
        assert (status.device, status.inode) == (file.lstat().st_dev, file.lstat().st_ino)


def test_more_views_than_one_system_call_takes(host):
    root = root_of(host)
    file = open_file(root, b"new", CREATE, write=True)
    views = [memoryview(b"%03d" % (number % 1000)) for number in range(3000)]
    assert file.write(views) == 3072
    assert file.pwrite(views, 0) == 3072
    buffers = [bytearray(3) for _ in range(2000)]
    assert file.pread([memoryview(buffer) for buffer in buffers], 0) == 3072
    assert b"".join(buffers[:1024]) == b"".join(views[:1024])


def test_offsets_that_cannot_be(host):
    file = open_file(root_of(host), b"file", write=True)
    for offset in (1 << 63, (1 << 64) - 1):
        assert errno_of(file.pread, [memoryview(bytearray(1))], offset) is Errno.INVAL
        assert errno_of(file.pwrite, [memoryview(b"x")], offset) is Errno.INVAL
        assert errno_of(file.set_size, offset) is Errno.INVAL
        assert errno_of(file.allocate, offset, 1) is Errno.INVAL
        assert errno_of(file.allocate, 0, offset) is Errno.INVAL
        assert errno_of(file.advise, offset, 0, Advice.NORMAL) is Errno.INVAL
        assert errno_of(file.seek, -1, Whence.SET) is Errno.INVAL
    assert file.status().size == 4


def test_advice_and_syncing_succeed(host):
    root = root_of(host)
    file = open_file(root, b"file", write=True)
    for advice in Advice:
        file.advise(0, 4, advice)
    file.sync()
    file.sync_data()
    root.sync()
    root.sync_data()


def test_times_are_set_kept_and_now(host, outside):
    root = root_of(host)
    file = open_file(root, b"file", write=True)
    file.set_times(1_000_000_001, 2_000_000_002)
    status = file.status()
    assert (status.access_time, status.modification_time) == (1_000_000_001, 2_000_000_002)
    root.path_set_times(b"file", TimeChange.KEEP, 3, follow=True)
    status = file.status()
    assert (status.access_time, status.modification_time) == (1_000_000_001, 3)
    file.set_times(TimeChange.NOW, TimeChange.KEEP)
    status = file.status()
    assert status.access_time > 1_000_000_001
    assert status.modification_time == 3
    root.symlink(b"file", b"l")
    root.path_set_times(b"l", 5, 6, follow=False)
    assert root.path_status(b"l", follow=False).modification_time == 6
    assert file.status().modification_time == 3
    root.path_set_times(b"l", 7, 8, follow=True)
    assert file.status().modification_time == 8
    root.path_set_times(b".", 9, 10, follow=True)
    assert root.status().modification_time == 10
    root.set_times(11, 12)
    assert (outside / "inside").stat().st_mtime_ns == 12


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        HostDirectory(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        HostDirectory(tmp_path / "file")


def test_without_rights_to_read_or_write_is_read(host):
    file = open_file(root_of(host), b"file", NOTHING, file_flags=NO_FLAGS, read=False, write=False)
    assert file.type is FileType.REGULAR_FILE
    assert file.read([memoryview(bytearray(10))]) == 4
