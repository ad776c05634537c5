"""How mounts are written, and that clients get only directories that the operator has listed."""

from __future__ import annotations

import pytest

from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.mounts import (
    MOUNT_LIMIT,
    AllowedDirectories,
    AllowedDirectory,
    MountRequest,
    check_guest_path,
    check_guest_paths,
    open_host_directory,
    parse_allowed_directory,
    parse_mount,
)
from farcall.engine.host.wasi.errno import Errno
from tests.engine.host.filesystem.trees import errno_of, get, names, root_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/data::/data", MountRequest("/srv/data", "/data")),
        ("/srv/data::/data:ro", MountRequest("/srv/data", "/data", read_only=True)),
        ("/srv/data::/data:rw", MountRequest("/srv/data", "/data")),
        ("data", MountRequest("data", "data")),
        ("data:ro", MountRequest("data", "data", read_only=True)),
        ("a::b::c", MountRequest("a::b", "c")),
        (".::.", MountRequest(".", ".")),
        ("x:y::z:w", MountRequest("x:y", "z:w")),
        ("x::/odd:ro:rw", MountRequest("x", "/odd:ro")),
        ("../x::/", MountRequest("../x", "/")),
    ],
)
def test_mounts_are_read(text, expected):
    assert parse_mount(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not say what is to be mounted"),
        ("::/data", "does not say what is to be mounted"),
        (":ro", "does not say what is to be mounted"),
        ("data::", "is empty"),
        ("data:::ro", "is empty"),
        ("data::../x", r"`\.\.`"),
        ("data::/a/../x", r"`\.\.`"),
        ("..", r"`\.\.`"),
        ("data::a\0b", "NUL"),
        ("da\0ta::b", "NUL"),
        ("data::\ud800", "not UTF-8"),
        ("data::" + "x" * 5000, "5000 bytes"),
    ],
)
def test_what_is_no_mount_is_refused(text, message):
    with pytest.raises(MountError, match=message):
        parse_mount(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data=/srv/data", AllowedDirectory("data", "/srv/data")),
        ("data=/srv/data:ro", AllowedDirectory("data", "/srv/data", read_only=True)),
        ("a.b-c_1=relative", AllowedDirectory("a.b-c_1", "relative")),
        ("a=/x=y:z", AllowedDirectory("a", "/x=y:z")),
    ],
)
def test_allowed_directories_are_read(text, expected):
    assert parse_allowed_directory(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/srv/data", "names no directory"),
        ("=/srv", "no name for a directory"),
        ("../x=/srv", "no name for a directory"),
        ("a/b=/srv", "no name for a directory"),
        ("a b=/srv", "no name for a directory"),
        (".a=/srv", "no name for a directory"),
        ("a" * 64 + "=/srv", "no name for a directory"),
        ("a=", "has no path"),
        ("a=:ro", "has no path"),
    ],
)
def test_what_is_no_allowed_directory_is_refused(text, message):
    with pytest.raises(MountError, match=message):
        parse_allowed_directory(text)


def test_two_mounts_at_one_path_are_refused():
    check_guest_paths(["/", "/data", "/data2", "data", "."])
    for pair in (["/data", "/data"], ["/data", "/data/"], ["/", "//"], ["a", "./a"], ["/a/./b", "/a/b"]):
        with pytest.raises(MountError, match="two mounts are to be at"):
            check_guest_paths(pair)
    with pytest.raises(MountError, match="more than 64 mounts"):
        check_guest_paths(f"/{number}" for number in range(MOUNT_LIMIT + 1))
    with pytest.raises(MountError, match="is empty"):
        check_guest_path("")


@pytest.fixture
def allowed(outside):
    directories = AllowedDirectories(
        [
            AllowedDirectory("data", str(outside / "inside")),
            AllowedDirectory("fixed", str(outside / "inside"), read_only=True),
        ]
    )
    yield directories
    directories.close()


def test_listed_directories_are_mounted_by_name(allowed):
    mount = allowed.mount(MountRequest("data", "/d"))
    assert (mount.guest_path, mount.read_only) == ("/d", False)
    root = root_of(mount.file_system, read_only=mount.read_only)
    assert names(root) == [b"d", b"file"]
    root.create_directory(b"new")
    assert get(root, b"d/file") == b"file in d"


def test_read_only_is_what_either_side_says(allowed):
    for request in (MountRequest("fixed", "/d"), MountRequest("data", "/d", read_only=True)):
        mount = allowed.mount(request)
        assert mount.read_only
        assert (
            errno_of(root_of(mount.file_system, read_only=mount.read_only).create_directory, b"n")
            is Errno.ROFS
        )


@pytest.mark.parametrize(
    "source", ["", ".", "..", "/", "/etc", "data/..", "data/d", "Data", "data\0", "data2", "dat"]
)
def test_what_is_not_listed_is_not_mounted(allowed, source):
    with pytest.raises(MountError, match="to mount; what there is: data, fixed"):
        allowed.mount(MountRequest(source, "/d"))


def test_without_a_list_nothing_is_mounted():
    with pytest.raises(MountError, match="what there is: none"):
        AllowedDirectories().mount(MountRequest("data", "/d"))


def test_a_listed_directory_has_to_be_there(tmp_path):
    (tmp_path / "file").touch()
    for path, message in (("missing", "No such file"), ("file", "Not a directory")):
        with pytest.raises(MountError, match=message):
            AllowedDirectories(
                [AllowedDirectory("a", str(tmp_path)), AllowedDirectory("b", str(tmp_path / path))]
            )
    with pytest.raises(MountError, match="two directories have the name 'a'"):
        AllowedDirectories([AllowedDirectory("a", str(tmp_path)), AllowedDirectory("a", str(tmp_path))])
    with pytest.raises(MountError, match="cannot be mounted"):
        open_host_directory("a\0b")
