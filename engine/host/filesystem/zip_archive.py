"""Zip archives (PKWARE's APPNOTE.TXT), with files that are stored or deflated."""

from __future__ import annotations

import calendar
import stat
import struct
import zlib
from typing import NamedTuple

from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.archive import ArchiveTree, CompressedContent, PlainContent
from farcall.engine.host.filesystem.interface import FileType
from farcall.engine.host.filesystem.paths import PATH_LIMIT
from farcall.engine.host.filesystem.system_calls import type_of_mode
from farcall.engine.host.wasi.errno import Errno, WasiError

_END = struct.Struct("<4s HHHH II H")  # section 4.3.16
_END_MAGIC = b"PK\5\6"
_END64_LOCATOR = struct.Struct("<4s I Q I")  # section 4.3.15
_END64 = struct.Struct("<4s Q HH II QQ QQ")  # section 4.3.14
_ENTRY = struct.Struct("<4s BB HHH HH III HHH HHI I")  # section 4.3.12
_LOCAL = struct.Struct("<4s 22x HH")  # section 4.3.7: only the lengths of name and extra field
_LONGEST_COMMENT = 65535

_STORED, _DEFLATED = 0, 8
_METHODS = {
    1: "shrunk",
    6: "imploded",
    9: "deflated (64)",
    12: "bzip2",
    14: "lzma",
    93: "zstd",
    95: "xz",
    98: "ppmd",
}
_ENCRYPTED, _UTF8 = 0x0001, 0x0800  # bits of the flags
_UNIX = 3  # the system on which an archive was made
_ZIP64_FIELD = 1
_IN_ZIP64 = 0xFFFFFFFF
_SECOND = 1_000_000_000

MAGICS = (b"PK\3\4", _END_MAGIC)
"""What zip archives begin with: an entry, or the end."""


class _Entry(NamedTuple):
    name: bytes
    mode: int
    method: int
    checksum: int
    time: int
    packed_size: int
    size: int
    offset: int


def read_zip(tree: ArchiveTree, data: bytes) -> None:
    """Put the entries of a zip archive into a tree.

    Raises:
        MountError: the archive is damaged, or one that is refused; that its files can be decompressed is seen when
            they are read.
    """
    for entry in _entries(data, tree.limits.entries):
        _add(tree, data, entry)


def _damage(reason: str) -> MountError:
    return MountError(f"the zip archive is damaged: {reason}")


def _directory(data: bytes) -> tuple[int, int, int]:
    """Where the central directory begins and ends, and how many entries it has."""
    position = data.rfind(_END_MAGIC, max(len(data) - _LONGEST_COMMENT - _END.size, 0))
    if position < 0 or position + _END.size > len(data):
        raise _damage("it has no end record; it may be cut short")
    _, disk, first_disk, _, count, size, offset, _ = _END.unpack_from(data, position)
    end = position
    locator = position - _END64_LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\6\7":
        end = _END64_LOCATOR.unpack_from(data, locator)[2]
        if end + _END64.size > locator or data[end : end + 4] != b"PK\6\6":
            raise _damage("its end record for large archives is not where it should be")
        _, _, _, _, disk, first_disk, _, count, size, offset = _END64.unpack_from(data, end)
    if disk or first_disk:
        raise MountError("the zip archive is refused: it is one part of several")
    if offset + size > end:
        raise _damage(f"its directory of {size} bytes at byte {offset} is not in it")
    return offset, offset + size, count


def _entries(data: bytes, limit: int) -> list[_Entry]:
    """What the central directory says."""
    position, end, count = _directory(data)
    if count > limit:
        raise MountError(f"the archive has {count} entries; the limit is {limit}")
    entries: list[_Entry] = []
    while position < end:
        if len(entries) == count:
            raise _damage(f"its directory has more than the {count} entries that its end record says")
        if position + _ENTRY.size > end or data[position : position + 4] != b"PK\1\2":
            raise _damage(f"there is no entry of the directory at byte {position}")
        fields = _ENTRY.unpack_from(data, position)
        name_end = position + _ENTRY.size + fields[11]
        extra_end = name_end + fields[12]
        next_position = extra_end + fields[13]
        if next_position > end:
            raise _damage(f"the entry of the directory at byte {position} is cut short")
        name = data[position + _ENTRY.size : name_end]
        entries.append(_entry(fields, name, data[name_end:extra_end]))
        position = next_position
    if len(entries) != count:
        raise _damage(f"its directory has {len(entries)} entries, and its end record says {count}")
    return entries


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes) -> _Entry:
    _, _, system, _, flags, method, clock, day, checksum, packed_size, size = fields[:11]
    attributes, offset = fields[16], fields[17]
    if flags & _ENCRYPTED:
        raise MountError(f"the archive is refused: its entry {name[:200]!r} is encrypted")
    if _IN_ZIP64 in (size, packed_size, offset):
        size, packed_size, offset = _large_numbers(name, extra, size, packed_size, offset)
    if not flags & _UTF8:
        name = name.decode("cp437").encode()
    return _Entry(
        name=name,
        mode=attributes >> 16 if system == _UNIX else 0,
        method=method,
        checksum=checksum,
        time=_time(day, clock),
        packed_size=packed_size,
        size=size,
        offset=offset,
    )


def _large_numbers(name: bytes, extra: bytes, *numbers: int) -> list[int]:
    """Numbers that do not fit into 32 bits stand in an extra field (section 4.5.3), as far as there are any."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        field = extra[position + 4 : position + 4 + length]
        if kind == _ZIP64_FIELD:
            large = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            try:
                return [next(large) if number == _IN_ZIP64 else number for number in numbers]
            except (StopIteration, RuntimeError):
                break
        position += 4 + length
    raise _damage(f"its entry {name[:200]!r} has no sizes")


def _time(day: int, clock: int) -> int:
    """MS-DOS's date and time, which has no time zone; nanoseconds since 1970."""
    try:
        seconds = calendar.timegm(
            (
                (day >> 9) + 1980,
                day >> 5 & 15,
                day & 31,
                clock >> 11,
                clock >> 5 & 63,
                (clock & 31) * 2,
            )
        )
    except ValueError:
        return 0
    return seconds * _SECOND


def _add(tree: ArchiveTree, data: bytes, entry: _Entry) -> None:
    """Put an entry into the tree."""
    kind = type_of_mode(entry.mode)
    if entry.name.endswith(b"/") or kind is FileType.DIRECTORY:
        tree.add_directory(entry.name, entry.time)
        return
    if kind in (FileType.BLOCK_DEVICE, FileType.CHARACTER_DEVICE, FileType.SOCKET_STREAM):
        tree.add_special(entry.name, entry.time, kind, replace=False)
        return
    if stat.S_ISFIFO(entry.mode):
        tree.add_special(entry.name, entry.time, FileType.UNKNOWN, replace=False)
        return
    if entry.method not in (_STORED, _DEFLATED):
        method = _METHODS.get(entry.method, f"compressed by method {entry.method}")
        raise MountError(
            f"the archive is refused: its entry {entry.name[:200]!r} is {method}; only files that are stored or"
            " deflated are read"
        )
    packed = _packed(data, entry)
    if kind is FileType.SYMBOLIC_LINK:
        if entry.size > PATH_LIMIT:
            raise _damage(
                f"its entry {entry.name[:200]!r} is a symbolic link with a target of {entry.size} bytes"
            )
        try:
            target = bytes(packed) if entry.method == _STORED else _inflate(packed, entry)
        except WasiError as error:
            raise _damage(f"its entry {entry.name[:200]!r}: {error}") from error
        tree.add_link(entry.name, entry.time, target, replace=False)
    elif entry.method == _STORED:
        if zlib.crc32(packed) != entry.checksum:
            raise _damage(f"its entry {entry.name[:200]!r} has another checksum than it says")
        tree.add_file(entry.name, entry.time, PlainContent(packed), replace=False)
    else:
        content = CompressedContent(tree.decompressed, entry.size, lambda: _inflate(packed, entry))
        tree.add_file(entry.name, entry.time, content, replace=False)


def _packed(data: bytes, entry: _Entry) -> memoryview:
    """An entry's bytes in the archive."""
    if data[entry.offset : entry.offset + 4] != b"PK\3\4" or entry.offset + _LOCAL.size > len(data):
        raise _damage(f"its entry {entry.name[:200]!r} is not at byte {entry.offset}, where it should be")
    _, name_length, extra_length = _LOCAL.unpack_from(data, entry.offset)
    start = entry.offset + _LOCAL.size + name_length + extra_length
    if start + entry.packed_size > len(data):
        raise _damage(f"its entry {entry.name[:200]!r} is cut short")
    if entry.method == _STORED and entry.packed_size != entry.size:
        raise _damage(f"its entry {entry.name[:200]!r} is stored, and has two sizes")
    return memoryview(data)[start : start + entry.packed_size]


def _inflate(packed: memoryview, entry: _Entry) -> bytes:
    """A deflated entry's bytes, never more than it says that there are. Raises WasiError(IO)."""
    inflation = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        result = inflation.decompress(packed, entry.size) if entry.size else b""
    except zlib.error as error:
        raise WasiError(Errno.IO, str(error)) from error
    if len(result) != entry.size or zlib.crc32(result) != entry.checksum:
        raise WasiError(Errno.IO, "the checksum or the size is wrong")
    return result
