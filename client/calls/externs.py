"""Memories, globals and tables that instances export, and slices of memories."""

from __future__ import annotations

from collections.abc import Iterator

from farcall.client.calls.call import Call, read_nothing
from farcall.client.types import Argument, GlobalType, Value
from farcall.client.values import decode_value, encode_value
from farcall.proto.farcall.v1 import global_service_pb2, memory_service_pb2, table_service_pb2

MEMORY_PIECE_BYTES = 1 << 20
"""Longer reads and writes of a memory are made of pieces of this size, which fit in every server's
messages."""


_END = 1 << 64
"""No offset, length or index is as large."""


def get_memory_size(instance: str, memory: str) -> Call[int]:
    """Its size in bytes."""
    request = memory_service_pb2.GetMemoryRequest(instance=instance, memory=memory)
    return Call("GetMemory", request, lambda response: int(response.size_bytes))


def read_memory(instance: str, memory: str, offset: int, length: int) -> Iterator[Call[bytes]]:
    """The reads that together read `length` bytes from `offset`."""
    _check_range(offset, length)
    for start in range(0, max(length, 1), MEMORY_PIECE_BYTES):
        request = memory_service_pb2.ReadMemoryRequest(
            instance=instance,
            memory=memory,
            offset=offset + start,
            length=min(MEMORY_PIECE_BYTES, length - start),
        )
        yield Call("ReadMemory", request, lambda response: bytes(response.data))


def write_memory(
    instance: str, memory: str, offset: int, data: bytes | bytearray | memoryview
) -> Iterator[Call[None]]:
    """The writes that together write `data` at `offset`.

    The last piece goes first: where it fits all do, so nothing is written by a write past the memory's end.
    """
    data = bytes(data)
    _check_range(offset, len(data))
    for start in reversed(range(0, max(len(data), 1), MEMORY_PIECE_BYTES)):
        piece = data[start : start + MEMORY_PIECE_BYTES]
        request = memory_service_pb2.WriteMemoryRequest(
            instance=instance, memory=memory, offset=offset + start, data=piece
        )
        yield Call("WriteMemory", request, read_nothing)


def _check_range(offset: int, length: int) -> None:
    if not (0 <= offset < _END and 0 <= length < _END):
        raise ValueError(f"offset and length must be from 0 to 2**64 - 1, but are {offset} and {length}")


def grow_memory(instance: str, memory: str, pages: int) -> Call[int]:
    """Gives its size before, in pages."""
    if not 0 <= pages < _END:
        raise ValueError(f"pages must be from 0 to 2**64 - 1, but are {pages}")
    request = memory_service_pb2.GrowMemoryRequest(instance=instance, memory=memory, delta_pages=pages)
    return Call("GrowMemory", request, lambda response: int(response.previous_size_pages))


def needs_size(key: int | slice) -> bool:
    """Whether what a key means depends on the memory's size."""
    if isinstance(key, slice):
        return key.stop is None or key.stop < 0 or (key.start is not None and key.start < 0)
    return key < 0


def span(key: int | slice, size: int | None) -> tuple[int, int]:
    """Offset and length that a key means; `size` is the memory's, needed where `needs_size` says so.

    Unlike `bytes`, a memory clamps nothing: what lies past its end is an error, not an empty slice.
    """
    if not isinstance(key, slice):
        return (key if key >= 0 or size is None else key + size), 1
    if key.step not in (None, 1):
        raise ValueError("slices of a memory have step 1")
    start, stop = (
        bound + size if bound < 0 and size is not None else bound
        for bound in (key.start or 0, size if key.stop is None and size is not None else key.stop)
    )
    return start, max(stop - start, 0)


def assignment(
    key: int | slice, value: int | bytes | bytearray | memoryview, size: int | None
) -> tuple[int, bytes]:
    """Offset and bytes that an assignment to a key means; ValueError for bytes of another length."""
    data = bytes([value]) if isinstance(value, int) else bytes(value)
    if not isinstance(key, slice):
        if not isinstance(value, int):
            raise TypeError("one byte of a memory is an int from 0 to 255")
        return span(key, size)[0], data
    if isinstance(value, int):
        raise TypeError("a slice of a memory is bytes")
    offset, length = span(key, size)
    if length != len(data):
        raise ValueError(f"the slice has {length} bytes, what is assigned {len(data)}")
    return offset, data


def get_global(instance: str, name: str) -> Call[Value]:
    """Its value."""
    request = global_service_pb2.GetGlobalRequest(instance=instance)
    setattr(request, "global", name)
    return Call("GetGlobal", request, lambda response: decode_value(response.value))


def set_global(instance: str, name: str, type_: GlobalType, value: Argument) -> Call[None]:
    """ArgumentError where the value does not fit."""
    request = global_service_pb2.SetGlobalRequest(instance=instance, value=encode_value(value, type_.value))
    setattr(request, "global", name)
    return Call("SetGlobal", request, read_nothing)


def get_table_size(instance: str, table: str) -> Call[int]:
    """Its size in elements."""
    request = table_service_pb2.GetTableRequest(instance=instance, table=table)
    return Call("GetTable", request, lambda response: int(response.size))


def look_up_element(instance: str, table: str, index: int) -> Call[Value]:
    """What an element refers to."""
    if not 0 <= index < _END:
        raise ValueError(f"index must be from 0 to 2**64 - 1, but is {index}")
    request = table_service_pb2.LookupElementRequest(instance=instance, table=table, index=index)
    return Call("LookupElement", request, lambda response: decode_value(response.element))
