"""Tar archives: ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU tar, plain or compressed with gzip, bzip2 or xz."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import IO

from farcall.engine.errors import MountError
from farcall.engine.host.filesystem.archive import ArchiveTree, PlainContent
from farcall.engine.host.filesystem.interface import FileType

_BLOCK = 512
_HEADER = struct.Struct("100s 24x 12s 12s 8s c 100s 6s 82x 155s 12x")
"""Name, size, time, checksum, type, link's target, magic, what comes before the name."""

_ATTRIBUTES_LIMIT = 1 << 20
"""Bytes of pax attributes, or of a long name of GNU tar's, that one entry may have."""

_READ_AT_A_TIME = 1 << 20
_SECOND = 1_000_000_000
_LATEST = (1 << 63) - 1

_FILE_TYPES = (b"0", b"\0", b"7")
_SPECIAL_TYPES = {
    b"3": FileType.CHARACTER_DEVICE,
    b"4": FileType.BLOCK_DEVICE,
    b"6": FileType.UNKNOWN,  # a FIFO
}
_NO_DATA_TYPES = (b"1", b"2", b"3", b"4", b"5", b"6")
_LONG_NAMES = {b"L": b"path", b"K": b"linkpath"}
"""GNU tar's types for what pax says by attributes."""

_COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def is_compressed(data: bytes) -> bool:
    """Whether bytes begin as one of the compressions does that a tar archive may have."""
    return data.startswith(tuple(_COMPRESSIONS))


def _is_tar(data: bytes) -> bool:
    """Whether bytes begin as a tar archive does, with the header of an entry or with empty blocks."""
    return len(data) >= _BLOCK and (not any(data[:_BLOCK]) or _checksum_is_right(memoryview(data)[:_BLOCK]))


def decompress(data: bytes, limit: int) -> bytes:
    """The archive in a compressed one.

    Raises:
        MountError: the bytes are damaged, or there are more than `limit`.
    """
    new_stream = next(new for magic, new in _COMPRESSIONS.items() if data.startswith(magic))
    result = bytearray()
    try:
        with new_stream(io.BytesIO(data)) as stream:
            while part := stream.read(_READ_AT_A_TIME):
                result += part
                if len(result) > limit:
                    raise MountError(f"the archive has more than {limit} bytes when it is decompressed")
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise MountError(f"the archive is damaged: {error}") from error
    return bytes(result)


def read_tar(tree: ArchiveTree, data: bytes) -> None:
    """Put the entries of a tar archive into a tree; of several with the same name, the last one counts.

    (Archives are made to be added to. In zip archives such entries are refused: programs disagree on which one counts.)

    Raises:
        MountError: the bytes are no tar archive, or a damaged one, or one that is refused.
    """
    if not _is_tar(data):
        raise MountError(
            "the bytes are neither a zip nor a tar archive, nor one that gzip, bzip2 or xz have compressed"
        )
    _TarReader(tree, memoryview(data)).run()


class _TarReader:
    """Reads an archive from its beginning to its end."""

    def __init__(self, tree: ArchiveTree, data: memoryview) -> None:
        self._tree = tree
        self._data = data
        self._global_attributes: dict[bytes, bytes] = {}
        self._attributes: dict[bytes, bytes] = {}  # of the entry that comes next

    def run(self) -> None:
        """Read all entries."""
        position = 0
        while position + _BLOCK <= len(self._data):
            header = self._data[position : position + _BLOCK]
            if not any(header):
                return
            position = self._read_entry(position, header)
        if position != len(self._data) or self._attributes:
            raise self._damage(position, "it is cut short")

    def _damage(self, position: int, reason: str) -> MountError:
        return MountError(f"the tar archive is damaged at byte {position}: {reason}")

    def _read_entry(self, position: int, header: memoryview) -> int:
        """Read one entry; where the next one is."""
        if not _checksum_is_right(header):
            raise self._damage(position, "the header's checksum is wrong")
        name, size_field, time_field, _, kind, target, magic, prefix = _HEADER.unpack(header)
        attributes = self._global_attributes | self._attributes
        size = self._number(position, size_field)
        time = max(self._number(position, time_field), 0) * _SECOND
        if kind not in (b"x", b"g", *_LONG_NAMES):
            size = self._attribute_size(position, attributes, size)
        if kind in _NO_DATA_TYPES:
            size = 0
        start = position + _BLOCK
        end = start + size
        if size < 0 or end > len(self._data):
            raise self._damage(position, f"an entry has {size} bytes, and so many do not follow")
        data = self._data[start:end]
        if kind in (b"x", b"g", *_LONG_NAMES):
            self._read_attributes(position, kind, data)
        else:
            name, target = name.partition(b"\0")[0], target.partition(b"\0")[0]
            if prefix[0] and magic == b"ustar\0":
                name = prefix.partition(b"\0")[0] + b"/" + name
            self._attributes = {}
            self._add(
                position,
                kind,
                attributes.get(b"path", name),
                attributes.get(b"linkpath", target),
                _attribute_time(attributes, min(time, _LATEST)),
                data,
            )
        return min(start + -(-size // _BLOCK) * _BLOCK, max(end, len(self._data)))

    def _add(
        self, position: int, kind: bytes, name: bytes, target: bytes, time: int, data: memoryview
    ) -> None:
        """Put an entry into the tree."""
        if kind in _FILE_TYPES and name.endswith(b"/"):
            kind = b"5"  # as the oldest archives have directories
        if kind in _FILE_TYPES:
            self._tree.add_file(name, time, PlainContent(data), replace=True)
        elif kind == b"5":
            self._tree.add_directory(name, time)
        elif kind == b"2":
            self._tree.add_link(name, time, target, replace=True)
        elif kind == b"1":
            self._tree.add_hard_link(name, target, replace=True)
        elif kind in _SPECIAL_TYPES:
            self._tree.add_special(name, time, _SPECIAL_TYPES[kind], replace=True)
        elif kind == b"V":
            pass  # the label of a volume
        else:
            what = "a sparse file" if kind == b"S" else f"of the type {kind!r}"
            raise self._damage(position, f"an entry is {what}, which is not supported")

    def _number(self, position: int, field: bytes) -> int:
        """A number in a header: octal digits, or binary behind a byte with the first bit set, as GNU tar has it."""
        if field[0] == 0x80:
            return int.from_bytes(field[1:], "big")
        if field[0] == 0xFF:
            return int.from_bytes(field, "big", signed=True)
        digits = field.partition(b"\0")[0].strip()
        if not digits:
            return 0
        if digits.strip(b"01234567"):
            raise self._damage(position, f"{digits!r} is no octal number")
        return int(digits, 8)

    def _attribute_size(self, position: int, attributes: dict[bytes, bytes], size: int) -> int:
        if any(key.startswith(b"GNU.sparse.") for key in attributes):
            raise self._damage(position, "an entry is a sparse file, which is not supported")
        text = attributes.get(b"size")
        if text is None:
            return size
        if not text.isdigit() or len(text) > 20:
            raise self._damage(position, f"{text[:40]!r} is no size")
        return int(text)

    def _read_attributes(self, position: int, kind: bytes, data: memoryview) -> None:
        """Read what a header says of the entry that follows, or of all."""
        if len(data) > _ATTRIBUTES_LIMIT:
            raise self._damage(position, f"attributes of {len(data)} bytes; the limit is {_ATTRIBUTES_LIMIT}")
        if kind in _LONG_NAMES:
            self._attributes[_LONG_NAMES[kind]] = bytes(data).partition(b"\0")[0]
            return
        attributes = self._attributes if kind == b"x" else self._global_attributes
        rest = 0
        content = bytes(data)
        while rest < len(content):
            space = content.find(b" ", rest, rest + 10)
            digits = content[rest:space] if space >= 0 else b""
            end = rest + int(digits) if digits.isdigit() else 0
            key, separator, value = content[space + 1 : end - 1].partition(b"=")
            if not space < end <= len(content) or content[end - 1 : end] != b"\n" or not separator:
                raise self._damage(position, "pax attributes that cannot be read")
            attributes[key] = value
            rest = end


def _checksum_is_right(header: memoryview) -> bool:
    """Whether a header's checksum is the sum of its bytes, with spaces for the checksum itself."""
    digits = bytes(header[148:156]).partition(b"\0")[0].strip()
    if not digits or digits.strip(b"01234567"):
        return False
    return int(digits, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _attribute_time(attributes: dict[bytes, bytes], time: int) -> int:
    """The time of the pax attributes, which has fractions of a second, or else the header's."""
    text = attributes.get(b"mtime")
    if text is None or len(text) > 40:
        return time
    try:
        return min(max(int(Decimal(text.decode()) * _SECOND), 0), _LATEST)
    except (InvalidOperation, ValueError, OverflowError):
        return time
