"""Tar and zip archives as file systems: what is in them, and that hostile ones are refused or harmless."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farcall.engine.errors import ExhaustionError, MountError
from farcall.engine.host.filesystem.archive import ArchiveLimits, ArchiveTree
from farcall.engine.host.filesystem.archives import open_archive
from farcall.engine.host.filesystem.interface import FileType, TimeChange
from farcall.engine.host.wasi.errno import Errno
from tests.engine.host.filesystem.trees import (
    CREATE,
    TRUNCATE,
    errno_of,
    get,
    names,
    open_file,
    outcome,
    root_of,
)

_TEXT = b"The quick brown fox jumps over the lazy dog. " * 200


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size, member.mtime = kind, target, size, 1_500_000_000.25
    return member


def tar_of(
    *members: tuple[tarfile.TarInfo, bytes], mode: str = "w", format: int = tarfile.PAX_FORMAT
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=format) as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tar_files(files: dict[str, bytes], **options) -> bytes:
    return tar_of(*((tar_member(name), content) for name, content in files.items()), **options)


def zip_of(entries: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content, method)
    return buffer.getvalue()


def zip_link(name: str, target: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return info, target


def archive_of(kind: str, files: dict[str, bytes]) -> bytes:
    """An archive with these files, in any of the formats."""
    if kind.startswith("zip"):
        method = zipfile.ZIP_STORED if kind == "zip-stored" else zipfile.ZIP_DEFLATED
        return zip_of(list(files.items()), method)
    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    if kind in formats:
        return tar_files(files, format=formats[kind])
    return tar_files(files, mode=f"w:{kind}")


KINDS = ["ustar", "gnu", "pax", "gz", "bz2", "xz", "zip", "zip-stored"]


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_files_and_directories_are_there(kind):
    root = root_of(
        open_archive(archive_of(kind, {"a": b"", "d/b": _TEXT, "./d/e/../c".replace("../", ""): b"c"}))
    )
    assert names(root) == [b"a", b"d"]
    assert names(open_file(root, b"d")) == [b"b", b"e"]
    assert get(root, b"d/b") == _TEXT
    assert get(root, b"d/e/c") == b"c"
    assert get(root, b"a") == b""
    assert root.path_status(b"d/b", follow=True).size == len(_TEXT)
    assert root.path_status(b"d", follow=True).type is FileType.DIRECTORY
    assert errno_of(get, root, b"missing") is Errno.NOENT


def test_long_names_and_unicode_ones_are_there(kind):
    long_name = "ä" * 40 + "/" + "x" * 90 + "/" + "y" * 100
    if kind == "ustar":
        long_name = "x" * 90 + "/" + "y" * 90
    root = root_of(open_archive(archive_of(kind, {long_name: b"long"})))
    assert get(root, long_name.encode()) == b"long"


def test_nothing_can_be_changed(kind):
    root = root_of(open_archive(archive_of(kind, {"a": b"a", "d/b": b"b"})))
    directory = open_file(root, b"d")
    file = open_file(root, b"a")
    assert errno_of(open_file, root, b"a", write=True) is Errno.ROFS
    assert errno_of(open_file, root, b"a", TRUNCATE) is Errno.ROFS
    assert errno_of(open_file, root, b"new", CREATE) is Errno.ROFS
    assert errno_of(root.create_directory, b"new") is Errno.ROFS
    assert errno_of(root.create_directory, b"d") is Errno.EXIST
    assert errno_of(root.remove_directory, b"d") is Errno.ROFS
    assert errno_of(root.unlink, b"a") is Errno.ROFS
    assert errno_of(root.rename, b"a", directory, b"c") is Errno.ROFS
    assert errno_of(root.link, b"a", directory, b"c", follow=False) is Errno.ROFS
    assert errno_of(root.symlink, b"a", b"c") is Errno.ROFS
    assert errno_of(root.path_set_times, b"a", 1, 1, follow=True) is Errno.ROFS
    assert errno_of(file.set_times, TimeChange.NOW, TimeChange.KEEP) is Errno.ROFS
    assert errno_of(directory.set_times, 1, 1) is Errno.ROFS
    assert errno_of(file.write, [memoryview(b"x")]) is Errno.BADF
    assert errno_of(file.set_size, 0) is Errno.INVAL
    assert get(open_file(root, b"."), b"a") == b"a"
    existing = open_file(root, b"a", CREATE)  # which makes nothing
    assert existing.status().size == 1


def test_parts_are_read_at_any_position(kind):
    handle = open_file(root_of(open_archive(archive_of(kind, {"a": _TEXT}))), b"a")
    first, second = bytearray(10), bytearray(7)
    assert handle.pread([memoryview(first), memoryview(b""), memoryview(second)], 5000) == 17
    assert bytes(first + second) == _TEXT[5000:5017]
    assert handle.pread([memoryview(first)], len(_TEXT) - 3) == 3
    assert bytes(first[:3]) == _TEXT[-3:]
    assert handle.pread([memoryview(first)], len(_TEXT)) == 0
    assert handle.pread([memoryview(first)], 1 << 62) == 0
    assert handle.read([memoryview(first)]) == 10
    assert handle.tell() == 10


def test_times_are_those_of_the_archive():
    root = root_of(open_archive(tar_files({"a": b""})))
    assert root.path_status(b"a", follow=True).modification_time == 1_500_000_000_250_000_000
    info = zipfile.ZipInfo("a", (2020, 1, 2, 3, 4, 6))
    root = root_of(open_archive(zip_of([(info, b"")])))
    assert root.path_status(b"a", follow=True).modification_time == 1_577_934_246_000_000_000


def test_links_in_a_tar_archive():
    root = root_of(
        open_archive(
            tar_of(
                (tar_member("d", tarfile.DIRTYPE), b""),
                (tar_member("d/a"), b"content"),
                (tar_member("l", tarfile.SYMTYPE, "d/a"), b""),
                (tar_member("d/up", tarfile.SYMTYPE, "../l"), b""),
                (tar_member("h", tarfile.LNKTYPE, "./d/a"), b""),
            )
        )
    )
    assert get(root, b"l") == get(root, b"d/up") == get(root, b"h") == b"content"
    assert root.readlink(b"l") == b"d/a"
    assert root.path_status(b"h", follow=True).links == 2
    assert root.path_status(b"h", follow=True).inode == root.path_status(b"d/a", follow=True).inode
    assert errno_of(open_file, root, b"l", follow=False) is Errno.LOOP


def test_links_in_a_zip_archive():
    root = root_of(open_archive(zip_of([("d/a", b"content"), zip_link("l", b"d/a")])))
    assert get(root, b"l") == b"content"


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../etc/passwd", b"d/../../x", b"/"])
def test_links_that_lead_out_are_not_followed(target):
    text = target.decode()
    for data in (
        tar_of((tar_member("d/a"), b""), (tar_member("l", tarfile.SYMTYPE, text), b"")),
        zip_of([("d/a", b""), zip_link("l", target)]),
    ):
        root = root_of(open_archive(data))
        assert errno_of(get, root, b"l") is Errno.PERM
        assert errno_of(get, root, b"l/x") is Errno.PERM
        assert errno_of(root.path_status, b"l", follow=True) is Errno.PERM
        assert root.path_status(b"l", follow=False).type is FileType.SYMBOLIC_LINK


def test_links_in_circles_end():
    data = tar_of(
        (tar_member("a", tarfile.SYMTYPE, "b"), b""),
        (tar_member("b", tarfile.SYMTYPE, "a"), b""),
        (tar_member("c", tarfile.SYMTYPE, "c/c"), b""),
        (tar_member("d", tarfile.SYMTYPE, "d"), b""),
    )
    root = root_of(open_archive(data))
    for name in (b"a", b"b", b"c", b"d", b"a/x"):
        assert errno_of(get, root, name) is Errno.LOOP


def test_devices_and_fifos_are_there_and_cannot_be_opened():
    data = tar_of(
        (tar_member("null", tarfile.CHRTYPE), b""),
        (tar_member("disk", tarfile.BLKTYPE), b""),
        (tar_member("fifo", tarfile.FIFOTYPE), b""),
    )
    root = root_of(open_archive(data))
    assert root.path_status(b"null", follow=True).type is FileType.CHARACTER_DEVICE
    for name in (b"null", b"disk", b"fifo"):
        assert errno_of(open_file, root, name) is Errno.NXIO


BAD_NAMES = [
    ("/etc/passwd", "absolute name"),
    ("//x", "absolute name"),
    ("../x", r"`\.\.`"),
    ("a/../../x", r"`\.\.`"),
    ("a/..", r"`\.\.`"),
    ("x" * 256, "more than 255 bytes"),
    ("/".join("a" * 300), "more than 256 directories"),
]


@pytest.mark.parametrize(("name", "message"), BAD_NAMES)
@pytest.mark.parametrize("kind", ["gnu", "pax", "zip"])
def test_names_that_lead_out_are_refused(kind, name, message):
    with pytest.raises(MountError, match=message):
        open_archive(archive_of(kind, {"good": b"", name: b"x"}))


def test_directories_and_links_with_such_names_are_refused():
    for member in (
        tar_member("../d", tarfile.DIRTYPE),
        tar_member("/l", tarfile.SYMTYPE, "x"),
        tar_member("h", tarfile.LNKTYPE, "../x"),
        tar_member("h", tarfile.LNKTYPE, "/x"),
        tar_member("h", tarfile.LNKTYPE, "missing"),
    ):
        with pytest.raises(MountError, match="the archive is refused: its entry"):
            open_archive(tar_of((member, b"")))


def test_nothing_can_be_below_a_link_or_a_file():
    with pytest.raises(MountError, match="'l', which is no directory"):
        open_archive(tar_of((tar_member("l", tarfile.SYMTYPE, "/tmp"), b""), (tar_member("l/x"), b"x")))
    with pytest.raises(MountError, match="'a', which is no directory"):
        open_archive(zip_of([("a", b""), ("a/b", b"")]))
    with pytest.raises(MountError, match="is there as a directory already"):
        open_archive(zip_of([("a/b", b""), ("a", b"")]))


def test_the_last_one_of_a_name_counts_in_tar_and_is_refused_in_zip():
    data = tar_of((tar_member("a"), b"old"), (tar_member("a"), b"new"), (tar_member("./a"), b"newest"))
    assert get(root_of(open_archive(data)), b"a") == b"newest"
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zip_of([("a", b"old"), ("a", b"new")])
    with pytest.raises(MountError, match="'a' is there twice"):
        open_archive(data)
    with pytest.raises(MountError, match="is there twice"):
        open_archive(zip_of([("a", b"old"), ("./a", b"new")]))


def test_a_bomb_is_not_decompressed():
    limits = ArchiveLimits(file_size=1 << 20, size=3 << 20)
    zeros = bytes(4 << 20)
    with pytest.raises(MountError, match="has 4194304 bytes; the limit is 1048576"):
        open_archive(zip_of([("bomb", zeros)]), limits=limits)
    for compression in ("gz", "bz2", "xz"):
        with pytest.raises(MountError, match="more than 3145728 bytes"):
            open_archive(tar_files({"bomb": zeros}, mode=f"w:{compression}"), limits=limits)
    parts = [(str(number), zeros[: 1 << 20]) for number in range(4)]
    with pytest.raises(MountError, match="more than 3145728 bytes"):
        open_archive(zip_of(parts), limits=limits)


def test_a_file_that_is_larger_than_it_says_is_an_error_to_read():
    data = bytearray(zip_of([("a", bytes(100_000))]))
    directory = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, directory + 24, 100)  # its size, in the directory
    root = root_of(open_archive(bytes(data)))
    assert root.path_status(b"a", follow=True).size == 100
    assert errno_of(get, root, b"a") is Errno.IO


def test_damaged_bytes_are_an_error_to_read():
    data = bytearray(zip_of([("a", os.urandom(1000)), ("b", b"fine" * 100)]))
    data[100] ^= 0xFF
    root = root_of(open_archive(bytes(data)))
    assert errno_of(get, root, b"a") is Errno.IO
    assert get(root, b"b") == b"fine" * 100


def test_many_entries_are_refused():
    limits = ArchiveLimits(entries=10)
    files = {f"f{number}": b"" for number in range(11)}
    for kind in KINDS:
        with pytest.raises(MountError, match=r"the limit is 10|10 entries, which is the limit"):
            open_archive(archive_of(kind, files), limits=limits)
    with pytest.raises(MountError, match="10 entries, which is the limit"):
        open_archive(tar_files({"/".join("a" * 20): b""}), limits=limits)
    open_archive(tar_files({f"f{number}": b"" for number in range(10)}), limits=limits)


def test_files_are_decompressed_when_they_are_read_and_the_oldest_go_first():
    limits = ArchiveLimits(held_size=25_000)
    tree = open_archive(zip_of([(name, name.encode() * 10_000) for name in "abc"]), limits=limits)
    assert isinstance(tree, ArchiveTree)
    root = root_of(tree)
    handles = {name: open_file(root, name.encode()) for name in "abc"}
    assert tree.decompressed.size == 0
    for name, size in zip("aabacb", (10_000, 10_000, 20_000, 20_000, 20_000, 20_000), strict=True):
        buffer = bytearray(5)
        handles[name].pread([memoryview(buffer)], 9_995)
        assert bytes(buffer) == name.encode() * 5
        assert tree.decompressed.size == size
    tree.close()
    assert tree.decompressed.size == 0


class _Budget:
    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, size: int) -> None:
        if size > self.left:
            raise ExhaustionError("no memory is left for guests")
        self.left -= size

    def give(self, size: int) -> None:
        self.left += size


def test_what_is_decompressed_is_taken_from_the_budget():
    budget = _Budget(20_000)
    files = [(name, name.encode() * 10_000) for name in "ab"] + [("large", bytes(40_000))]
    tree = open_archive(zip_of(files), budget=budget)
    root = root_of(tree)
    left = budget.left
    assert 10_000 < left < 20_000  # the entries themselves take some
    assert get(root, b"a") == b"a" * 10_000
    assert get(root, b"b") == b"b" * 10_000
    assert budget.left == left - 10_000
    assert errno_of(get, root, b"large") is Errno.NOMEM
    tree.close()
    tree.close()
    assert budget.left == 20_000


def test_a_compressed_tar_archive_is_taken_from_the_budget():
    budget = _Budget(15_000)
    data = tar_files({"a": bytes(20_000)}, mode="w:gz")
    with pytest.raises(ExhaustionError):
        open_archive(data, budget=budget)
    assert budget.left == 15_000
    budget.left = 50_000
    tree = open_archive(data, budget=budget)
    assert budget.left < 30_000
    tree.close()
    assert budget.left == 50_000


def test_a_refused_archive_gives_back_what_was_taken_for_it():
    budget = _Budget(10_000)
    for data in (zip_of([("a", b""), ("../b", b"")]), tar_files({"a": b"", "/b": b""})):
        with pytest.raises(MountError):
            open_archive(data, budget=budget)
        assert budget.left == 10_000
    for kind in ("zip", "pax"):
        with pytest.raises(ExhaustionError):
            open_archive(archive_of(kind, {str(number): b"" for number in range(50)}), budget=budget)
        assert budget.left == 10_000


def test_a_damaged_file_gives_back_what_was_taken_for_it():
    budget = _Budget(10_000)
    data = bytearray(zip_of([("a", os.urandom(1000))]))
    data[100] ^= 0xFF
    root = root_of(open_archive(bytes(data), budget=budget))
    left = budget.left
    assert errno_of(get, root, b"a") is Errno.IO
    assert budget.left == left


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither a zip nor a tar archive"),
        (b"hello", "neither a zip nor a tar archive"),
        (b"x" * 10_000, "neither a zip nor a tar archive"),
        (b"\x1f\x8bnonsense", "the archive is damaged"),
        (b"BZhnonsense", "the archive is damaged"),
        (b"\xfd7zXZ\0nonsense", "the archive is damaged"),
        (b"PK\3\4", "no end record"),
        (b"PK\5\6" + bytes(4), "no end record"),
    ],
)
def test_what_is_no_archive_is_refused(data, message):
    with pytest.raises(MountError, match=message):
        open_archive(data)


def test_empty_archives_are_empty():
    for data in (bytes(10240), bytes(512), zip_of([]), tar_of(), tar_of(mode="w:gz")):
        assert names(root_of(open_archive(data))) == []


def test_an_archive_that_is_cut_short_is_refused(kind):
    data = archive_of(kind, {"a": os.urandom(2000), "b": os.urandom(2000)})
    with pytest.raises(MountError, match="damaged"):
        open_archive(data[: len(data) // 2 - len(data) // 2 % 512 + 100])


def test_encrypted_and_unknown_entries_are_refused_by_name():
    data = bytearray(zip_of([("secret", b"x")]))
    data[data.rindex(b"PK\1\2") + 8] |= 1
    with pytest.raises(MountError, match="'secret' is encrypted"):
        open_archive(bytes(data))
    with pytest.raises(MountError, match="'a' is bzip2"):
        open_archive(zip_of([("a", b"x" * 100)], zipfile.ZIP_BZIP2))
    header = bytearray(tar_files({"a": b""}, format=tarfile.USTAR_FORMAT))
    with pytest.raises(MountError, match="a sparse file, which is not supported"):
        open_archive(bytes(_with_type(header, b"S")))
    with pytest.raises(MountError, match="of the type b'Q', which is not supported"):
        open_archive(bytes(_with_type(header, b"Q")))


def _with_type(header: bytearray, kind: bytes) -> bytearray:
    header = bytearray(header)
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return header


def test_sizes_that_cannot_be_are_refused():
    header = bytearray(tar_files({"a": b"content"}, format=tarfile.USTAR_FORMAT))
    for size in (
        b"\xff" * 12,
        b"\x80" + b"\xff" * 11,
        b"77777777777\0",
        b"99999999999\0",
        b"\x90" + bytes(11),
    ):
        header[124:136] = size
        with pytest.raises(MountError, match="damaged"):
            open_archive(bytes(_with_type(header, b"0")))


@pytest.mark.parametrize(
    "attributes",
    [b"", b"5", b"99999999 a=b\n", b"1 a=b\n", b"0 a=b\n", b"-5 a=b\n", b"5 ab\n", b"x" * 600, b"8 size=x\n"],
)
def test_attributes_that_cannot_be_are_refused(attributes):
    data = tar_files({"a": b"content"}, format=tarfile.USTAR_FORMAT)
    header = bytearray(data[:512])
    header[124:136] = b"%011o\0" % len(attributes)
    pax = bytes(_with_type(header, b"x")) + attributes + bytes(-len(attributes) % 512)
    if attributes:
        with pytest.raises(MountError, match="damaged"):
            open_archive(pax + data)
    else:
        assert get(root_of(open_archive(pax + data)), b"a") == b"content"


_SAMPLES = [
    archive_of(kind, {"a": b"x" * 50, "d/b": b"y", "d/c": b""})
    for kind in ("ustar", "gnu", "pax", "zip", "zip-stored")
]
_SAMPLES.append(zip_of([("d/a", b"content"), zip_link("l", b"d/a")]))
_SAMPLES.append(tar_of((tar_member("d/a"), b"x"), (tar_member("h", tarfile.LNKTYPE, "d/a"), b"")))


@settings(max_examples=300, deadline=None)
@given(
    sample=st.sampled_from(_SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 1 << 16),
)
def test_a_damaged_archive_is_refused_or_has_files_that_can_be_read_or_not(sample, changes, cut):
    data = bytearray(sample[: max(len(sample) - cut, 600)] if cut % 4 == 0 else sample)
    for position, value in changes:
        data[position % len(data)] = value
    try:
        root = root_of(open_archive(bytes(data)))
    except MountError:
        return
    for entry in root.read_directory(0):
        if entry.type is FileType.REGULAR_FILE:
            result = outcome(partial(get, root, entry.name))
            assert isinstance(result, bytes) or result in (Errno.IO, Errno.ILSEQ)


def test_a_zip_archive_with_large_numbers():
    content = b"content"
    name = b"a"
    local = (
        struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 0, 0, 0, zlib.crc32(content), 7, 7, 1, 0)
        + name
        + content
    )
    extra = struct.pack("<HHQQQ", 1, 24, 7, 7, 0)
    entry = (
        struct.pack(
            "<4sBBHHHHHIIIHHHHHII",
            b"PK\1\2",
            45,
            3,
            45,
            0,
            0,
            0,
            0,
            zlib.crc32(content),
            0xFFFFFFFF,
            0xFFFFFFFF,
            1,
            len(extra),
            0,
            0,
            0,
            0,
            0xFFFFFFFF,
        )
        + name
        + extra
    )
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), len(local))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(entry), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert get(root_of(open_archive(local + entry + end64 + locator + end)), b"a") == content
