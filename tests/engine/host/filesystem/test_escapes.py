"""The classic ways out of a directory, each tried on directories of the host; none leads out."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from farcall.engine.host.filesystem.host_directory import HostDirectory, OpenDirectory
from farcall.engine.host.filesystem.host_resolution import HostTree
from farcall.engine.host.filesystem.interface import FileType, Handle
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.resolution import walk
from farcall.engine.host.filesystem.system_calls import kernel_has_openat2
from farcall.engine.host.wasi.errno import Errno, WasiError
from tests.engine.host.filesystem.conftest import SECRET
from tests.engine.host.filesystem.trees import (
    CREATE,
    DIRECTORY,
    EXCLUSIVE,
    NOTHING,
    TRUNCATE,
    content_of,
    errno_of,
    get,
    names,
    open_file,
    outcome,
    put,
    root_of,
)


@pytest.fixture
def root(host: HostDirectory) -> Handle:
    return root_of(host)


@pytest.fixture
def inside(outside: Path) -> Path:
    return outside / "inside"


def every_call(root: Handle, path: bytes) -> dict[str, Callable[[], object]]:
    """Each system call that takes a path, with one that is to lead out."""
    return {
        "open": lambda: open_file(root, path),
        "open for writing": lambda: open_file(root, path, read=False, write=True),
        "open a directory": lambda: open_file(root, path, DIRECTORY),
        "create": lambda: open_file(root, path, CREATE, write=True),
        "create alone": lambda: open_file(root, path, CREATE | EXCLUSIVE, write=True),
        "truncate": lambda: open_file(root, path, CREATE | TRUNCATE, write=True),
        "status": lambda: root.path_status(path, follow=True),
        "times": lambda: root.path_set_times(path, 1, 1, follow=True),
        "readlink": lambda: root.readlink(path + b"/x"),
        "create directory": lambda: root.create_directory(path + b"/new"),
        "remove directory": lambda: root.remove_directory(path + b"/inside2"),
        "unlink": lambda: root.unlink(path + b"/secret"),
        "rename from": lambda: root.rename(path + b"/secret", root, b"stolen"),
        "rename to": lambda: root.rename(b"file", root, path + b"/file"),
        "link from": lambda: root.link(path + b"/secret", root, b"stolen", follow=False),
        "link followed": lambda: root.link(path, root, b"stolen", follow=True),
        "link to": lambda: root.link(b"file", root, path + b"/file", follow=False),
        "symlink": lambda: root.symlink(b"x", path + b"/new"),
    }


def everything(path: Path) -> dict[str, bytes]:
    """What is outside of `inside`, to see that it stays as it is."""
    return {
        str(file): file.read_bytes() if file.is_file() else b""
        for file in sorted(path.rglob("*"))
        if "inside/" not in str(file)
    }


def assert_nothing_leads_out(root: Handle, path: bytes, outside: Path, errors: set[Errno]) -> None:
    before = everything(outside)
    for call, action in every_call(root, path).items():
        assert outcome(action) in errors, call
    assert everything(outside) == before


@pytest.mark.parametrize(
    "path", [b"..", b"../", b"../.", b"./..", b"d/../..", b"d/.././..", b"../inside/..", b"d/../../inside/.."]
)
def test_paths_with_too_many_parents(root, outside, path):
    assert_nothing_leads_out(root, path, outside, {Errno.PERM})


def test_parents_that_stay_inside(root):
    assert get(root, b"d/../file") == b"file"
    assert get(root, b"./d/./../d/file") == b"file in d"
    assert get(root, b"d//..//file") == b"file"
    assert errno_of(get, root, b"missing/../file") is Errno.NOENT
    assert errno_of(get, root, b"file/../file") is Errno.NOTDIR


@pytest.mark.parametrize("path", [b"/", b"/etc", b"//etc", b"/..", b"/d", b"/proc/self/root"])
def test_absolute_paths(root, outside, path):
    assert_nothing_leads_out(root, path, outside, {Errno.PERM})


def test_the_path_of_the_directory_itself(root, outside, inside):
    for path in (bytes(inside), bytes(inside / "d"), bytes(outside)):
        assert_nothing_leads_out(root, path, outside, {Errno.PERM})


def test_a_neighbour_whose_name_begins_alike(root, outside):
    assert (outside / "inside2" / "secret").exists()
    assert_nothing_leads_out(root, b"../inside2", outside, {Errno.PERM})
    assert errno_of(get, root, b"2/secret") is Errno.NOENT


@pytest.mark.parametrize("behind", [b"", b"/", b"//", b"/.", b"/./", b"/inside/.."])
@pytest.mark.parametrize(
    "target", ["/", "/etc", "{outside}", "{outside}/inside", "..", "../", "./..", "d/../.."]
)
def test_links_that_are_there_already(root, outside, inside, target, behind):
    os.symlink(target.format(outside=outside), inside / "l")
    assert root.path_status(b"l", follow=False).type is FileType.SYMBOLIC_LINK
    assert errno_of(open_file, root, b"l", follow=False) is Errno.LOOP
    # A link itself exists, and what is created with a slash behind its name would be a directory.
    assert_nothing_leads_out(root, b"l" + behind, outside, {Errno.PERM, Errno.EXIST, Errno.ISDIR})
    for path in (b"l" + behind, b"l/secret", b"l/../inside/file"):
        assert errno_of(open_file, root, path) is Errno.PERM


def test_a_link_to_a_file_outside(root, outside, inside):
    for number, target in enumerate(
        (str(outside / "secret"), "../secret", "d/../../secret", "/proc/self/cwd")
    ):
        link = b"l%d" % number
        os.symlink(target, inside / os.fsdecode(link))
        assert errno_of(get, root, link) is Errno.PERM
        assert errno_of(open_file, root, link, write=True) is Errno.PERM
        assert errno_of(open_file, root, link, CREATE | TRUNCATE, write=True) is Errno.PERM
        assert errno_of(root.path_status, link, follow=True) is Errno.PERM
        assert errno_of(root.path_set_times, link, 1, 1, follow=True) is Errno.PERM
        assert errno_of(root.link, link, root, b"stolen", follow=True) is Errno.PERM
    assert (outside / "secret").read_bytes() == SECRET


def test_a_link_to_nothing_outside_makes_nothing_there(root, outside, inside):
    os.symlink("../new", inside / "l")
    os.symlink(str(outside / "new"), inside / "m")
    for link in (b"l", b"m"):
        assert errno_of(open_file, root, link, CREATE, write=True) is Errno.PERM
        assert errno_of(open_file, root, link, CREATE | EXCLUSIVE, write=True) is Errno.EXIST
        assert errno_of(root.create_directory, link) is Errno.EXIST
    assert not (outside / "new").exists()


def test_a_link_through_other_links(root, inside):
    os.symlink("b", inside / "a")
    os.symlink("d/c", inside / "b")
    os.symlink("../e", inside / "d" / "c")
    os.symlink("..", inside / "e")
    assert errno_of(get, root, b"a/secret") is Errno.PERM
    assert errno_of(get, root, b"a") is Errno.PERM


def test_what_a_link_outside_leads_to_is_not_told(root, inside):
    os.symlink("/home/somebody", inside / "l")
    assert errno_of(root.readlink, b"l") is Errno.PERM


def test_guests_make_no_absolute_links(root, inside):
    assert errno_of(root.symlink, b"/etc", b"l") is Errno.PERM
    assert not os.path.lexists(inside / "l")
    root.symlink(b"../../etc", b"l")  # which leads nowhere for guests
    assert errno_of(root.path_status, b"l/passwd", follow=True) is Errno.PERM


def test_links_in_circles(root, inside):
    os.symlink("a", inside / "a")
    os.symlink("c", inside / "b")
    os.symlink("b/x", inside / "c")
    for link in (b"a", b"b", b"c", b"a/", b"a/x"):
        assert errno_of(get, root, link) is Errno.LOOP
        assert errno_of(root.path_status, link, follow=True) is Errno.LOOP


def test_a_chain_of_links_has_an_end(root, inside):
    os.symlink("file", inside / "l0")
    for number in range(1, 60):
        os.symlink(f"l{number - 1}", inside / f"l{number}")
    assert get(root, b"l30") == b"file"
    assert errno_of(get, root, b"l59") is Errno.LOOP


def test_paths_that_are_too_long(root):
    assert errno_of(get, root, b"a/" * 500_000) is Errno.NAMETOOLONG
    assert errno_of(get, root, b"n" * 256) is Errno.NAMETOOLONG
    assert errno_of(root.create_directory, b"d/" + b"n" * 256) is Errno.NAMETOOLONG
    assert errno_of(root.symlink, b"x" * 5000, b"l") is Errno.NAMETOOLONG
    root.create_directory(b"n" * 255)


def test_paths_that_are_no_text(root):
    assert errno_of(get, root, b"file\0") is Errno.INVAL
    assert errno_of(get, root, b"d/../../secret\0/../file") is Errno.INVAL
    assert errno_of(get, root, b"\xff") is Errno.ILSEQ
    assert errno_of(get, root, b"") is Errno.NOENT


def test_slashes_behind_links_follow_nothing_that_is_removed(root, outside, inside):
    os.symlink("../inside2", inside / "l")
    os.symlink("d", inside / "m")
    assert errno_of(root.remove_directory, b"l/") is Errno.NOTDIR
    assert errno_of(root.remove_directory, b"m/") is Errno.NOTDIR
    assert errno_of(root.unlink, b"l/") is Errno.NOTDIR
    assert errno_of(root.rename, b"l/", root, b"x") is Errno.NOTDIR
    assert errno_of(root.create_directory, b"l/") is Errno.EXIST
    root.rename(b"l", root, b"k")
    root.unlink(b"k")
    assert (outside / "inside2" / "secret").read_bytes() == SECRET


def test_handles_below_are_walls_of_their_own(root):
    directory = open_file(root, b"d")
    for path in (b"..", b"../file", b"../d/file", b"./.."):
        assert errno_of(directory.path_status, path, follow=True) is Errno.PERM
    root.symlink(b"../file", b"d/up")
    assert get(root, b"d/up") == b"file"
    assert errno_of(get, directory, b"up") is Errno.PERM


def test_the_parent_that_a_listing_shows_is_the_directory_itself(root, outside):
    entries = {entry.name: entry for entry in root.read_directory(0)}
    assert entries[b".."].inode == entries[b"."].inode == root.status().inode
    assert entries[b".."].inode != outside.stat().st_ino


def test_hard_links_lead_to_nothing_outside(root, outside, inside):
    os.symlink("../secret", inside / "l")
    assert errno_of(root.link, b"../secret", root, b"stolen", follow=False) is Errno.PERM
    root.link(
        b"l", root, b"m", follow=False
    )  # another name for the link, which leads out no more than the first
    assert errno_of(get, root, b"m") is Errno.PERM
    assert (outside / "secret").stat().st_nlink == 1


@pytest.mark.parametrize("openat2", [True, False])
def test_links_of_the_proc_file_system(outside, openat2):
    system = HostDirectory("/proc/self", openat2=openat2 and kernel_has_openat2())
    root = root_of(system, read_only=True)
    descriptor = os.open(outside / "secret", os.O_RDONLY)
    try:
        for path in (b"root", b"cwd", b"exe", b"root/etc", b"cwd/..", b"fd/%d" % descriptor):
            assert outcome(partial(open_file, root, path)) in (Errno.PERM, Errno.LOOP), path
            assert outcome(partial(root.path_status, path, follow=True)) in (Errno.PERM, Errno.LOOP), path
    finally:
        os.close(descriptor)
        system.close()


def test_fifos_sockets_and_devices_are_not_opened_and_nothing_waits(root, inside):
    os.mkfifo(inside / "fifo")
    os.symlink("fifo", inside / "l")
    os.mknod(inside / "socket", stat.S_IFSOCK | 0o600)
    made = [b"fifo", b"socket", b"l"]
    if os.geteuid() == 0:  # who else may make devices is not known
        os.mknod(inside / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        made.append(b"null")
    for name in made:
        for flags in (NOTHING, CREATE, TRUNCATE):
            for read, write in ((True, False), (False, True), (True, True)):
                assert errno_of(open_file, root, name, flags, read=read, write=write) is Errno.NXIO
    types = {entry.name: entry.type for entry in root.read_directory(0)}
    assert types[b"fifo"] is FileType.UNKNOWN
    assert types[b"socket"] is FileType.SOCKET_STREAM
    root.unlink(b"fifo")


def test_read_only_means_it(host, outside):
    root = root_of(host, read_only=True)
    os.symlink("file", outside / "inside" / "l")
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    directory = open_file(root, b"d")
    for start, name in ((root, b"file"), (directory, b"file"), (root, b"l"), (root, b"d/file")):
        assert errno_of(open_file, start, name, write=True) is Errno.ROFS
        assert errno_of(open_file, start, name, TRUNCATE) is Errno.ROFS
        assert errno_of(open_file, start, b"new", CREATE) is Errno.ROFS
        assert errno_of(start.unlink, name) is Errno.ROFS
        assert errno_of(start.path_set_times, name, 1, 1, follow=True) is Errno.ROFS
        assert errno_of(start.rename, name, root, b"new") is Errno.ROFS
        assert errno_of(start.link, name, root, b"new", follow=False) is Errno.ROFS
        file = open_file(start, name, CREATE)
        assert errno_of(file.write, [memoryview(b"x")]) is Errno.BADF
        assert errno_of(file.set_size, 0) is Errno.INVAL
        assert errno_of(file.allocate, 0, 10) is Errno.BADF
        assert errno_of(file.set_times, 1, 1) is Errno.ROFS
    assert errno_of(root.create_directory, b"new") is Errno.ROFS
    assert errno_of(root.create_directory, b"d") is Errno.EXIST
    assert errno_of(root.remove_directory, b"d") is Errno.ROFS
    assert errno_of(root.symlink, b"x", b"new") is Errno.ROFS
    assert errno_of(directory.set_times, 1, 1) is Errno.ROFS
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before


def test_read_only_cannot_be_left_through_a_writable_mount_of_the_same_directory(host):
    read_only, writable = root_of(host, read_only=True), root_of(host)
    assert errno_of(read_only.link, b"file", writable, b"other", follow=False) is Errno.XDEV
    assert errno_of(read_only.rename, b"file", writable, b"other") is Errno.ROFS
    assert errno_of(writable.rename, b"file", read_only, b"other") is Errno.ROFS
    assert errno_of(writable.link, b"file", read_only, b"other", follow=False) is Errno.ROFS


def test_nothing_moves_between_file_systems(host):
    root, memory = root_of(host), root_of(MemoryFileSystem())
    put(memory, b"m", b"")
    assert errno_of(root.rename, b"file", memory, b"x") is Errno.XDEV
    assert errno_of(memory.rename, b"m", root, b"x") is Errno.XDEV
    assert errno_of(memory.link, b"m", root, b"x", follow=False) is Errno.XDEV
    assert errno_of(memory.link, b"m", root_of(MemoryFileSystem()), b"x", follow=False) is Errno.XDEV
    assert errno_of(root.rename, b"file", open_file(root, b"file"), b"x") is Errno.NOTDIR


_SWAP = """
import ctypes, os, sys
os.chdir(sys.argv[1])
exchange = ctypes.CDLL(None).renameat2
pairs = [tuple(os.fsencode(name) for name in pair.split("=")) for pair in sys.argv[2:]]
while True:
    for first, second in pairs:
        exchange(-100, first, -100, second, 2)  # RENAME_EXCHANGE: each name is one of the two at any moment
"""


@contextmanager
def swapping(directory: Path, *pairs: str) -> Iterator[Callable[[], bool]]:
    """Another process, which swaps names in a directory; whether a second is over says what is given."""
    swapper = subprocess.Popen([sys.executable, "-c", _SWAP, str(directory), *pairs])
    end = time.monotonic() + 1
    try:
        yield lambda: time.monotonic() >= end
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.wait()


def test_links_that_come_between_check_and_use(root, outside, inside):
    """Another process swaps a directory and a link out, and moves a directory, as the guest goes through them."""
    swapped = inside / "swap"
    swapped.mkdir()
    (swapped / "secret").write_bytes(b"inside")
    os.symlink("..", inside / "other")
    for directory in ("a", "b"):
        (inside / directory / "moving" / "deep").mkdir(parents=True)
    os.symlink("../../../../secret", inside / "a" / "moving" / "up")
    os.symlink("moving/deep/../../../../secret", inside / "a" / "through")
    os.symlink("secret", inside / "file-or-link")
    before = everything(outside)
    seen: set[object] = set()
    with swapping(inside, "swap=other", "a/moving=b/moving") as is_over:
        while not is_over():
            for path in (
                b"swap/secret",
                b"a/moving/deep/../../../secret",
                b"swap/../secret",
                b"a/through",
                b"a/moving/up",
            ):
                seen.add(outcome(lambda path=path: get(root, path)))
            seen.add(outcome(lambda: root.path_status(b"swap/secret", follow=True).size))
            outcome(lambda: put(root, b"swap/new", b"from the guest"))
            outcome(lambda: root.create_directory(b"swap/newer"))
            outcome(lambda: root.link(b"swap/secret", root, b"stolen", follow=True))
            outcome(lambda: root.unlink(b"swap/new"))
            outcome(lambda: root.rename(b"swap/newer", root, b"swap/newest"))
    assert seen <= {b"inside", len(b"inside"), Errno.PERM, Errno.NOENT, Errno.LOOP, Errno.NOTDIR}
    assert everything(outside) == before
    assert not (outside / "new").exists()
    assert not (outside / "newer").exists()


def test_a_file_that_becomes_a_link_as_it_is_opened(root, outside, inside):
    """Another process replaces a file by a link to outside and back, as the guest opens it in every way."""
    (inside / "x").write_bytes(b"inside")
    os.symlink("../secret", inside / "y")
    seen: set[object] = set()
    with swapping(inside, "x=y") as is_over:
        while not is_over():
            for follow in (True, False):
                content = outcome(lambda follow=follow: get(root, b"x", follow=follow))
                seen.add(content.replace(b"inside", b"") if isinstance(content, bytes) else content)
                seen.add(outcome(lambda follow=follow: root.path_status(b"x", follow=follow).type))
                for flags in (CREATE, CREATE | TRUNCATE, CREATE | EXCLUSIVE):
                    result = outcome(
                        lambda flags=flags, follow=follow: open_file(
                            root, b"x", flags, write=True, follow=follow
                        )
                    )
                    if isinstance(result, Errno):
                        seen.add(result)
                    else:
                        seen.add(content_of(result).replace(b"inside", b""))
                        result.write([memoryview(b"inside")])
                        result.close()
                outcome(lambda follow=follow: root.path_set_times(b"x", 1, 1, follow=follow))
    assert seen <= {b"", FileType.REGULAR_FILE, FileType.SYMBOLIC_LINK, Errno.PERM, Errno.LOOP, Errno.EXIST}
    assert (outside / "secret").read_bytes() == SECRET
    assert (outside / "secret").stat().st_mtime > 1_000_000


@pytest.mark.parametrize("openat2", [True, False])
def test_a_link_that_comes_after_the_last_check(outside, inside, openat2, monkeypatch):
    """What was looked at is replaced by a link to outside before it is used, in every call."""
    system = HostDirectory(inside, openat2=openat2 and kernel_has_openat2())
    root = root_of(system)
    look = OpenDirectory._status_at

    def look_and_replace(self: OpenDirectory, directory: int, name: bytes) -> object:
        status = look(self, directory, name)
        if name == b"x":
            (inside / "x").rename(inside / "was-x")
            os.symlink(
                "../secret" if status is None or status.type is not FileType.DIRECTORY else "..", inside / "x"
            )
        return status

    def make(directory: bool) -> None:
        for name in ("x", "was-x", "stolen"):
            path = inside / name
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif os.path.lexists(path):
                path.unlink()
        if directory:
            (inside / "x").mkdir()
        else:
            (inside / "x").write_bytes(b"inside")

    before = everything(outside)
    monkeypatch.setattr(OpenDirectory, "_status_at", look_and_replace)
    for directory in (False, True):
        for action in (
            lambda: open_file(root, b"x", follow=False),
            lambda: open_file(root, b"x", write=True, follow=False),
            lambda: open_file(root, b"x", CREATE | TRUNCATE, write=True, follow=False),
            lambda: open_file(root, b"x", DIRECTORY, follow=False),
        ):
            make(directory)
            assert outcome(action) in (Errno.LOOP, Errno.NOTDIR, Errno.ISDIR)
        make(directory)
        result = outcome(partial(open_file, root, b"x", write=not directory))
        assert result is (Errno.NOTDIR if directory else Errno.PERM)
        make(directory)
        root.path_set_times(b"x", 1, 1, follow=True)
        make(directory)
        assert outcome(lambda: root.readlink(b"x")) in (Errno.INVAL, b"../secret")
        make(directory)
        assert outcome(lambda: root.link(b"x", root, b"stolen", follow=True)) in (None, Errno.PERM)
        assert outcome(lambda: get(root, b"stolen")) in (Errno.PERM, Errno.NOENT)
    system.close()
    assert everything(outside) == before
    assert (outside / "secret").stat().st_mtime > 1_000_000
    assert outside.stat().st_mtime > 1_000_000


def test_a_directory_that_is_moved_out_as_it_is_walked(outside, inside):
    """A walk that went into a directory, which is then moved out, does not go up from there."""
    (inside / "d" / "e").mkdir()
    (outside / "e").mkdir()

    class MovesOut(HostTree):
        def enter(self, directory: int, name: bytes) -> int | bytes:
            entered = super().enter(directory, name)
            if name == b"e" and (inside / "d" / "e").exists():
                os.rename(inside / "d" / "e", outside / "e" / "e")  # its parent is outside's `e` now
            return entered

    descriptor = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    try:
        tree = MovesOut(descriptor)
        with walk(tree, descriptor, b"d/e/../file", follow=True) as place:
            assert os.fstat(place.directory).st_ino == (inside / "d").stat().st_ino
            assert place.name == b"file"
        with pytest.raises(WasiError, match="PERM"):
            walk(tree, descriptor, b"d/../..", follow=True)
    finally:
        os.close(descriptor)


def test_the_directory_stays_the_same_one_when_its_name_goes_to_another(host, outside, inside):
    root = root_of(host)
    os.rename(inside, outside / "moved")
    os.symlink(outside / "inside2", inside)
    assert names(root) == [b"d", b"file"]
    assert errno_of(get, root, b"secret") is Errno.NOENT
    assert names(root_of(host)) == [b"d", b"file"]
