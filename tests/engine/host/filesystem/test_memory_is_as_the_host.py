"""File systems in memory do as directories of the host do, call by call, in random sequences."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.interface import FileFlags, FileType, Handle, OpenFlags, Whence
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.filesystem.open_handles import OpenHandles
from tests.engine.host.filesystem.trees import names, outcome, put

_TREE: tuple[tuple[str, bytes, bytes], ...] = (
    ("directory", b"a", b""),
    ("directory", b"a/a", b""),
    ("directory", b"a/a/b", b""),
    ("directory", b"b", b""),
    ("file", b"c", b"content"),
    ("file", b"a/c", b"more"),
    ("link", b"l", b"a/a"),
    ("link", b"a/l", b"../b/"),
    ("link", b"a/m", b"./c"),
    ("link", b"m", b"a/m"),
    ("link", b"d", b"missing"),
    ("link", b"b/u", b"../.."),
    ("link", b"o", b"b/o"),
    ("link", b"b/o", b"../o"),
)
"""What is there at the beginning: directories, files, and links to them, to nothing, out, and in a circle."""

_component = st.sampled_from(
    [b"a", b"a", b"a", b"b", b"b", b"c", b"l", b"m", b"d", b"u", b"o", b".", b"..", b"\xc3\xa4"]
)
_clean_path = st.lists(st.sampled_from([b"a", b"b", b"c", b"l", b"m"]), min_size=1, max_size=2).map(b"/".join)
_wild_path = st.builds(
    lambda lead, parts, slash, tail: lead + slash.join(parts) + tail,
    st.sampled_from([b"", b"", b"", b"", b"./", b"/"]),
    st.lists(_component, min_size=1, max_size=4),
    st.sampled_from([b"/", b"/", b"//"]),
    st.sampled_from([b"", b"", b"", b"/", b"/."]),
)
_odd_path = st.sampled_from([b"", b"n" * 256, b"a/" + b"n" * 255, b"a\xff", b"a/" * 3000, b"c\0"])
_path = st.integers(0, 19).flatmap(
    lambda kind: _clean_path if kind < 11 else _wild_path if kind < 19 else _odd_path
)
_data = st.binary(max_size=40)
_offset = st.one_of(st.integers(0, 60), st.integers(65_500, 65_600), st.sampled_from([200_000, 1 << 63]))


class SameAsTheHost(RuleBasedStateMachine):
    """The same calls on a file system in memory, and on two of the host's, by the kernel's resolution and by ours."""

    directories, files = Bundle("directories"), Bundle("files")
    handles = st.one_of(directories, files)

    @initialize(target=directories)
    def start(self) -> int:
        self._paths = [tempfile.mkdtemp() for _ in range(2)]
        self._systems = [
            MemoryFileSystem(),
            HostDirectory(self._paths[0]),
            HostDirectory(self._paths[1], openat2=False),
        ]
        self._open = [OpenHandles() for _ in self._systems]
        self._handles: list[list[Handle]] = []
        number = self._open_root()
        for root in self._handles[number]:
            for kind, path, content in _TREE:
                if kind == "directory":
                    root.create_directory(path)
                elif kind == "file":
                    put(root, path, content)
                else:
                    root.symlink(content, path)
        return number

    def _open_root(self) -> int:
        pairs = zip(self._systems, self._open, strict=True)
        self._handles.append([system.open_root(handles) for system, handles in pairs])
        return len(self._handles) - 1

    @rule(target=directories)
    def open_root(self):
        return self._open_root()

    def teardown(self) -> None:
        for handles in self._open:
            handles.close()
            assert len(handles) == 0
        for system in self._systems:
            system.close()
        for path in self._paths:
            shutil.rmtree(path)

    def _same(self, action: Callable[..., Any], *numbers: int) -> Any:
        """Do the same with the handles of these numbers in each file system; the results must be the same."""
        rows = zip(*(self._handles[number] for number in numbers), strict=True)
        results = [outcome(lambda row=row: action(*row)) for row in rows]
        assert results[0] == results[1] == results[2]
        return results[0]

    @rule(
        target=files,
        base=directories,
        path=_path,
        flags=st.sampled_from([0, 1, 1, 1, 5, 8, 9]).map(OpenFlags),
        file_flags=st.sampled_from([0, 0, 1, 4, 16]).map(FileFlags),
        access=st.sampled_from([(True, True), (True, True), (True, False), (False, True), (False, False)]),
        follow=st.booleans(),
    )
    def open_file(self, base, path, flags, file_flags, access, follow):
        return self._open_same(base, path, flags, file_flags, access, follow, FileType.REGULAR_FILE)

    @rule(target=files, base=directories, path=st.sampled_from([b"c", b"a/c"]), appends=st.booleans())
    def open_known_file(self, base, path, appends):
        flags = FileFlags(appends)
        return self._open_same(
            base, path, OpenFlags.CREATE, flags, (True, True), False, FileType.REGULAR_FILE
        )

    @rule(
        target=directories,
        base=handles,
        path=_path,
        flags=st.sampled_from([0, 2, 2, 2, 3]).map(OpenFlags),
        follow=st.booleans(),
    )
    def open_directory(self, base, path, flags, follow):
        return self._open_same(base, path, flags, FileFlags(0), (True, False), follow, FileType.DIRECTORY)

    def _open_same(self, base, path, flags, file_flags, access, follow, wanted):
        row: list[Handle] = []

        def action(directory: Handle) -> FileType:
            handle = directory.open(path, flags, file_flags, read=access[0], write=access[1], follow=follow)
            row.append(handle)
            return handle.type

        kind = self._same(action, base)
        if kind is not wanted:
            for handle in row:
                handle.close()
            return multiple()
        self._handles.append(row)
        return len(self._handles) - 1

    @rule(base=directories, path=_path)
    def create_directory(self, base, path):
        self._same(lambda handle: handle.create_directory(path), base)

    @rule(base=directories, path=_path)
    def remove_directory(self, base, path):
        self._same(lambda handle: handle.remove_directory(path), base)

    @rule(base=directories, path=_path)
    def unlink(self, base, path):
        self._same(lambda handle: handle.unlink(path), base)

    @rule(base=directories, path=_path, other=directories, new_path=_path)
    def rename(self, base, path, other, new_path):
        self._same(lambda handle, other: handle.rename(path, other, new_path), base, other)

    @rule(base=directories, path=_path, other=directories, new_path=_path, follow=st.booleans())
    def link(self, base, path, other, new_path, follow):
        self._same(lambda handle, other: handle.link(path, other, new_path, follow=follow), base, other)

    @rule(base=directories, aim=_path, path=_path)
    def symlink(self, base, aim, path):
        self._same(lambda handle: handle.symlink(aim, path), base)

    @rule(base=directories, path=_path)
    def readlink(self, base, path):
        self._same(lambda handle: handle.readlink(path), base)

    @rule(base=directories, path=_path, follow=st.booleans())
    def path_status(self, base, path, follow):
        def action(handle: Handle) -> tuple[object, ...]:
            status = handle.path_status(path, follow=follow)
            return _comparable(status)

        self._same(action, base)

    @rule(base=directories, path=_path, follow=st.booleans(), time=st.integers(0, 1 << 60))
    def path_set_times(self, base, path, follow, time):
        def action(handle: Handle) -> int:
            handle.path_set_times(path, time, time + 1, follow=follow)
            status = handle.path_status(path, follow=follow)
            assert status.access_time == time
            return status.modification_time

        self._same(action, base)

    @rule(handle=directories)
    def names(self, handle):
        self._same(names, handle)

    @rule(handle=directories)
    def types(self, handle):
        self._same(
            lambda handle: sorted((entry.name, entry.type) for entry in handle.read_directory(0)), handle
        )

    @rule(handle=handles)
    def status(self, handle):
        self._same(lambda handle: _comparable(handle.status()), handle)

    @rule(handle=files, sizes=st.lists(st.integers(0, 30), max_size=3))
    def read(self, handle, sizes):
        self._same(lambda handle: _read(handle.read, sizes), handle)

    @rule(handle=files, sizes=st.lists(st.integers(0, 30), max_size=3), offset=_offset)
    def pread(self, handle, sizes, offset):
        self._same(lambda handle: _read(lambda views: handle.pread(views, offset), sizes), handle)

    @rule(handle=files, parts=st.lists(_data, max_size=3))
    def write(self, handle, parts):
        self._same(lambda handle: handle.write([memoryview(part) for part in parts]), handle)

    @rule(handle=files, parts=st.lists(_data, max_size=3), offset=_offset)
    def pwrite(self, handle, parts, offset):
        self._same(lambda handle: handle.pwrite([memoryview(part) for part in parts], offset), handle)

    @rule(handle=files, offset=st.integers(-50, 70_000), whence=st.sampled_from(Whence))
    def seek(self, handle, offset, whence):
        self._same(lambda handle: handle.seek(offset, whence), handle)

    @rule(handle=files, size=_offset)
    def set_size(self, handle, size):
        self._same(lambda handle: handle.set_size(size), handle)

    @rule(handle=files, offset=_offset, length=_offset)
    def allocate(self, handle, offset, length):
        self._same(lambda handle: handle.allocate(offset, length), handle)

    @rule(handle=handles, flags=st.integers(0, 31).map(FileFlags))
    def set_flags(self, handle, flags):
        self._same(lambda handle: handle.set_flags(flags), handle)
        self._same(lambda handle: handle.flags, handle)

    @rule(handle=consumes(files) | consumes(directories))
    def close(self, handle):
        self._same(lambda handle: handle.close(), handle)
        self._same(lambda handle: handle.close(), handle)

    @rule(handle=handles, other=handles)
    def wrong_kind(self, handle, other):
        directory = self._handles[handle][0].type is FileType.DIRECTORY
        if directory:
            self._same(lambda handle: handle.tell(), handle)
            self._same(lambda handle: handle.set_size(0), handle)
            self._same(lambda handle, other: handle.rename(b"a", other, b"c"), handle, other)
        else:
            self._same(lambda handle: list(handle.read_directory(0)), handle)
            self._same(lambda handle: handle.create_directory(b"a"), handle)
            self._same(lambda handle, other: handle.link(b"a", other, b"c", follow=False), handle, other)

    @invariant()
    def as_many_handles_are_open(self):
        assert len({len(handles) for handles in self._open}) == 1


def _comparable(status) -> tuple[object, ...]:
    """What must be the same: directories' sizes are the host's affair."""
    if status.type is FileType.DIRECTORY:
        return (status.type, status.links)
    return (status.type, status.links, status.size)


def _read(read: Callable[[list[memoryview]], int], sizes: list[int]) -> tuple[int, list[bytes]]:
    buffers = [bytearray(size) for size in sizes]
    return read([memoryview(buffer) for buffer in buffers]), [bytes(buffer) for buffer in buffers]


TestSameAsTheHost = SameAsTheHost.TestCase
TestSameAsTheHost.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
