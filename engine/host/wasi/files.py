"""Open files and directories: `fd_*`."""

from __future__ import annotations

from farcall.engine.host.filesystem.interface import Advice, FileFlags, Handle, TimeChange
from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.blocking import read_or_wait, write_or_wait
from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import DIRENT, FDSTAT, PRESTAT, SIZE, SIZE_64, TimeFlags

_LARGEST_OFFSET = (1 << 63) - 1
ALL_FILE_FLAGS = int(~FileFlags(0))
_ALL_TIME_FLAGS = int(~TimeFlags(0))
_PREOPENED_DIRECTORY = 0

_store_size = SIZE.pack_into
_BADF, _NOTCAPABLE = int(Errno.BADF), int(Errno.NOTCAPABLE)


def time_changes(access: int, modification: int, flags: int) -> tuple[int | TimeChange, int | TimeChange]:
    """What `$fstflags` say is to become of a file's times. Raises WasiError(INVAL) where they contradict themselves."""
    if flags & ~_ALL_TIME_FLAGS:
        raise WasiError(Errno.INVAL, f"flags {flags:#x}")
    return (
        _time_change(access, flags & TimeFlags.ACCESS, flags & TimeFlags.ACCESS_NOW),
        _time_change(modification, flags & TimeFlags.MODIFICATION, flags & TimeFlags.MODIFICATION_NOW),
    )


def _time_change(time: int, given: int, now: int) -> int | TimeChange:
    if given and now:
        raise WasiError(Errno.INVAL, "a time both given and now")
    if given:
        return time
    return TimeChange.NOW if now else TimeChange.KEEP


def _offset(value: int) -> int:
    """An offset or size. Raises WasiError(INVAL) beyond what files can have."""
    if value > _LARGEST_OFFSET:
        raise WasiError(Errno.INVAL, f"offset {value}")
    return value


# -- Reading and writing -----------------------------------------------------------------------------------------------


@wasi_call("i32 i32 i32 i32")
def fd_read(guest: Guest, number: int, vectors: int, count: int, read: int) -> int | None:
    """Read at the position."""
    descriptor = guest.descriptor(number)
    if descriptor is None:
        return _BADF
    if not descriptor.rights & rights.FD_READ:
        return _NOTCAPABLE
    memory = guest.memory()
    buffers = guest.buffers(memory, vectors, count)
    _store_size(memory, read, read_or_wait(guest, descriptor.handle, buffers))
    return None


@wasi_call("i32 i32 i32 i32")
def fd_write(guest: Guest, number: int, vectors: int, count: int, written: int) -> int | None:
    """Write at the position."""
    descriptor = guest.descriptor(number)
    if descriptor is None:
        return _BADF
    if not descriptor.rights & rights.FD_WRITE:
        return _NOTCAPABLE
    memory = guest.memory()
    buffers = guest.buffers(memory, vectors, count)
    _store_size(memory, written, write_or_wait(guest, descriptor.handle, buffers))
    return None


@wasi_call("i32 i32 i32 i64 i32")
def fd_pread(guest: Guest, number: int, vectors: int, count: int, offset: int, read: int) -> None:
    """Read at an offset."""
    handle = _positioned(guest, number, rights.FD_READ)
    memory = guest.memory()
    _store_size(memory, read, handle.pread(guest.buffers(memory, vectors, count), _offset(offset)))


@wasi_call("i32 i32 i32 i64 i32")
def fd_pwrite(guest: Guest, number: int, vectors: int, count: int, offset: int, written: int) -> None:
    """Write at an offset."""
    handle = _positioned(guest, number, rights.FD_WRITE)
    memory = guest.memory()
    _store_size(memory, written, handle.pwrite(guest.buffers(memory, vectors, count), _offset(offset)))


def _positioned(guest: Guest, number: int, right: int) -> Handle:
    """What has a position, or says itself that it has none. Raises WasiError: `BADF`, `NOTCAPABLE`."""
    handle = guest.handle(number, right)
    if not guest.open_descriptor(number, 0).rights & (rights.FD_SEEK | rights.FD_TELL):
        handle.tell()  # a stream has none: SPIPE
        raise WasiError(Errno.NOTCAPABLE)
    return handle


@wasi_call("i32 i64 i32 i32")
def fd_seek(guest: Guest, number: int, offset: int, whence: int, position: int) -> int | None:
    """Move the position."""
    descriptor = guest.open_descriptor(number, 0)
    if whence >= len(guest.snapshot.whences):
        return Errno.INVAL
    where = guest.snapshot.whences[whence]
    delta = offset - (offset >> 63 << 64)  # `$filedelta` is signed
    wanted = rights.FD_SEEK
    if delta == 0 and where == 1:
        wanted = rights.FD_TELL if descriptor.rights & rights.FD_TELL else rights.FD_SEEK
    if not descriptor.rights & wanted:
        descriptor.handle.tell()  # says what is wrong, where it has no position
        return Errno.NOTCAPABLE
    SIZE_64.pack_into(guest.memory(), position, descriptor.handle.seek(delta, where))
    return None


@wasi_call("i32 i32")
def fd_tell(guest: Guest, number: int, position: int) -> int | None:
    """The position."""
    descriptor = guest.open_descriptor(number, 0)
    found = descriptor.handle.tell()
    if not descriptor.rights & (rights.FD_TELL | rights.FD_SEEK):
        return Errno.NOTCAPABLE
    SIZE_64.pack_into(guest.memory(), position, found)
    return None


# -- Files as a whole --------------------------------------------------------------------------------------------------


@wasi_call("i32 i64 i64 i32")
def fd_advise(guest: Guest, number: int, offset: int, length: int, advice: int) -> int | None:
    """Say how a part of a file is going to be used."""
    handle = guest.handle(number, rights.FD_ADVISE)
    if advice >= len(Advice):
        return Errno.INVAL
    handle.advise(_offset(offset), _offset(length), Advice(advice))
    return None


@wasi_call("i32 i64 i64")
def fd_allocate(guest: Guest, number: int, offset: int, length: int) -> None:
    """Make sure that a part of a file has room."""
    guest.handle(number, rights.FD_ALLOCATE).allocate(_offset(offset), _offset(length))


@wasi_call("i32")
def fd_datasync(guest: Guest, number: int) -> None:
    """Have a file's data written where they last."""
    guest.handle(number, rights.FD_DATASYNC).sync_data()


@wasi_call("i32")
def fd_sync(guest: Guest, number: int) -> None:
    """Have a file's data and status written where they last."""
    guest.handle(number, rights.FD_SYNC).sync()


@wasi_call("i32 i32")
def fd_filestat_get(guest: Guest, number: int, status: int) -> None:
    """What is known of an open file."""
    found = guest.handle(number, rights.FD_FILESTAT_GET).status()
    guest.snapshot.pack_filestat(guest.memory(), status, found)


@wasi_call("i32 i64")
def fd_filestat_set_size(guest: Guest, number: int, size: int) -> None:
    """Cut a file, or let it grow with zeros."""
    guest.handle(number, rights.FD_FILESTAT_SET_SIZE).set_size(_offset(size))


@wasi_call("i32 i64 i64 i32")
def fd_filestat_set_times(guest: Guest, number: int, access: int, modification: int, flags: int) -> None:
    """Set a file's times."""
    handle = guest.handle(number, rights.FD_FILESTAT_SET_TIMES)
    handle.set_times(*time_changes(access, modification, flags))


@wasi_call("i32 i32 i32 i64 i32")
def fd_readdir(guest: Guest, number: int, buffer: int, length: int, cookie: int, used: int) -> None:
    """Entries of a directory, as many as there is room for; the last one is cut where it does not fit."""
    handle = guest.handle(number, rights.FD_READDIR)
    room = guest.bytes_at(buffer, length)
    filled = 0
    if length:
        for entry in handle.read_directory(cookie):
            content = DIRENT.pack(entry.next_cookie, entry.inode, len(entry.name), entry.type) + entry.name
            part = content[: length - filled]
            room[filled : filled + len(part)] = part
            filled += len(part)
            if filled == length:
                break
    SIZE.pack_into(guest.memory(), used, filled)


# -- Descriptors -------------------------------------------------------------------------------------------------------


@wasi_call("i32")
def fd_close(guest: Guest, number: int) -> None:
    """Close a descriptor."""
    guest.program.descriptors.remove(number).handle.close()


@wasi_call("i32 i32")
def fd_renumber(guest: Guest, source: int, target: int) -> None:
    """Give a descriptor the number of another, which is closed."""
    replaced = guest.program.descriptors.move(source, target)
    if replaced is not None:
        replaced.handle.close()


@wasi_call("i32 i32")
def fd_fdstat_get(guest: Guest, number: int, status: int) -> None:
    """What a descriptor is open on, and its flags and rights."""
    found = guest.open_descriptor(number, 0)
    handle = found.handle
    FDSTAT.pack_into(guest.memory(), status, handle.type, handle.flags, found.rights, found.inheriting)


@wasi_call("i32 i32")
def fd_fdstat_set_flags(guest: Guest, number: int, flags: int) -> int | None:
    """Change a descriptor's flags."""
    handle = guest.handle(number, rights.FD_FDSTAT_SET_FLAGS)
    if flags & ~ALL_FILE_FLAGS:
        return Errno.INVAL
    handle.set_flags(FileFlags(flags))
    return None


@wasi_call("i32 i64 i64")
def fd_fdstat_set_rights(guest: Guest, number: int, base: int, inheriting: int) -> int | None:
    """Give rights up; what is not there cannot be had."""
    descriptor = guest.open_descriptor(number, 0)
    if base & ~descriptor.rights or inheriting & ~descriptor.inheriting:
        return Errno.NOTCAPABLE
    descriptor.rights, descriptor.inheriting = base, inheriting
    return None


@wasi_call("i32 i32")
def fd_prestat_get(guest: Guest, number: int, prestat: int) -> None:
    """How long the name is by which a directory was given to the program."""
    PRESTAT.pack_into(guest.memory(), prestat, _PREOPENED_DIRECTORY, len(_preopened(guest, number)))


@wasi_call("i32 i32 i32")
def fd_prestat_dir_name(guest: Guest, number: int, path: int, length: int) -> int | None:
    """The name by which a directory was given to the program."""
    name = _preopened(guest, number)
    if length < len(name):
        return Errno.NAMETOOLONG
    guest.bytes_at(path, len(name))[:] = name
    return None


def _preopened(guest: Guest, number: int) -> bytes:
    name = guest.open_descriptor(number, 0).preopened
    if name is None:
        # What is open otherwise is no such descriptor either: programs look through the numbers until they get this.
        raise WasiError(Errno.BADF)
    return name
