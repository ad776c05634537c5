"""Files by their names: `path_*`."""

from __future__ import annotations

from farcall.engine.host.filesystem.interface import FileFlags, Handle, OpenFlags
from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.descriptors import Descriptor
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.files import ALL_FILE_FLAGS, time_changes
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import SIZE, LookupFlags

_ALL_OPEN_FLAGS = int(~OpenFlags(0))
_ALL_LOOKUP_FLAGS = int(~LookupFlags(0))


def _follow(flags: int) -> bool:
    """What `$lookupflags` say of a symbolic link at the path's end. Raises WasiError(INVAL)."""
    if flags & ~_ALL_LOOKUP_FLAGS:
        raise WasiError(Errno.INVAL, f"lookup flags {flags:#x}")
    return bool(flags & LookupFlags.SYMLINK_FOLLOW)


@wasi_call("i32 i32 i32 i32 i32 i64 i64 i32 i32")
def path_open(
    guest: Guest,
    number: int,
    lookup_flags: int,
    path: int,
    length: int,
    open_flags: int,
    base: int,
    inheriting: int,
    file_flags: int,
    opened: int,
) -> int | None:
    """Open a file or directory."""
    needed = rights.PATH_OPEN
    if open_flags & OpenFlags.CREATE:
        needed |= rights.PATH_CREATE_FILE
    if open_flags & OpenFlags.TRUNCATE:
        needed |= rights.PATH_FILESTAT_SET_SIZE
    directory = guest.directory(number, needed)
    if open_flags & ~_ALL_OPEN_FLAGS or file_flags & ~ALL_FILE_FLAGS:
        return Errno.INVAL
    parent = guest.open_descriptor(number, 0)
    if (base | inheriting) & rights.INHERITABLE & ~parent.inheriting:
        return Errno.NOTCAPABLE
    place = guest.bytes_at(opened, SIZE.size)
    handle = directory.open(
        guest.path_at(path, length),
        OpenFlags(open_flags),
        FileFlags(file_flags),
        read=bool(base & rights.READING),
        write=bool(base & rights.WRITING),
        follow=_follow(lookup_flags),
    )
    own, handed_on = rights.applicable(handle.type)
    descriptor = Descriptor(
        handle, base & own & parent.inheriting, inheriting & handed_on & parent.inheriting
    )
    try:
        SIZE.pack_into(place, 0, guest.program.descriptors.add(descriptor))
    except BaseException:
        handle.close()
        raise
    return None


@wasi_call("i32 i32 i32")
def path_create_directory(guest: Guest, number: int, path: int, length: int) -> None:
    """Make a directory."""
    directory = guest.directory(number, rights.PATH_CREATE_DIRECTORY)
    directory.create_directory(guest.path_at(path, length))


@wasi_call("i32 i32 i32")
def path_remove_directory(guest: Guest, number: int, path: int, length: int) -> None:
    """Remove an empty directory."""
    directory = guest.directory(number, rights.PATH_REMOVE_DIRECTORY)
    directory.remove_directory(guest.path_at(path, length))


@wasi_call("i32 i32 i32")
def path_unlink_file(guest: Guest, number: int, path: int, length: int) -> None:
    """Remove a name that is no directory's."""
    guest.directory(number, rights.PATH_UNLINK_FILE).unlink(guest.path_at(path, length))


@wasi_call("i32 i32 i32 i32 i32")
def path_filestat_get(
    guest: Guest, number: int, lookup_flags: int, path: int, length: int, status: int
) -> None:
    """What is known of a file."""
    directory = guest.directory(number, rights.PATH_FILESTAT_GET)
    found = directory.path_status(guest.path_at(path, length), follow=_follow(lookup_flags))
    guest.snapshot.pack_filestat(guest.memory(), status, found)


@wasi_call("i32 i32 i32 i32 i64 i64 i32")
def path_filestat_set_times(
    guest: Guest,
    number: int,
    lookup_flags: int,
    path: int,
    length: int,
    access: int,
    modification: int,
    flags: int,
) -> None:
    """Set a file's times."""
    directory = guest.directory(number, rights.PATH_FILESTAT_SET_TIMES)
    changes = time_changes(access, modification, flags)
    directory.path_set_times(guest.path_at(path, length), *changes, follow=_follow(lookup_flags))


@wasi_call("i32 i32 i32 i32 i32 i32 i32")
def path_link(
    guest: Guest,
    number: int,
    lookup_flags: int,
    path: int,
    length: int,
    new_number: int,
    new_path: int,
    new_length: int,
) -> None:
    """Give a file another name beside the one that it has."""
    source = guest.directory(number, rights.PATH_LINK_SOURCE)
    target = guest.directory(new_number, rights.PATH_LINK_TARGET)
    names = _two_paths(guest, path, length, new_path, new_length)
    source.link(names[0], target, names[1], follow=_follow(lookup_flags))


@wasi_call("i32 i32 i32 i32 i32 i32")
def path_rename(
    guest: Guest, number: int, path: int, length: int, new_number: int, new_path: int, new_length: int
) -> None:
    """Give a file or directory another name, in place of what had it."""
    source: Handle = guest.directory(number, rights.PATH_RENAME_SOURCE)
    target = guest.directory(new_number, rights.PATH_RENAME_TARGET)
    names = _two_paths(guest, path, length, new_path, new_length)
    source.rename(names[0], target, names[1])


def _two_paths(guest: Guest, path: int, length: int, new_path: int, new_length: int) -> tuple[bytes, bytes]:
    return guest.path_at(path, length), guest.path_at(new_path, new_length)


@wasi_call("i32 i32 i32 i32 i32")
def path_symlink(guest: Guest, target: int, target_length: int, number: int, path: int, length: int) -> None:
    """Make a symbolic link."""
    directory = guest.directory(number, rights.PATH_SYMLINK)
    directory.symlink(guest.path_at(target, target_length), guest.path_at(path, length))


@wasi_call("i32 i32 i32 i32 i32 i32")
def path_readlink(
    guest: Guest, number: int, path: int, length: int, buffer: int, room: int, used: int
) -> None:
    """The target of a symbolic link, as much as there is room for."""
    directory = guest.directory(number, rights.PATH_READLINK)
    place = guest.bytes_at(buffer, room)
    target = directory.readlink(guest.path_at(path, length))[:room]
    place[: len(target)] = target
    SIZE.pack_into(guest.memory(), used, len(target))
