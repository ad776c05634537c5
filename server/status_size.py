"""Statuses are kept to a size that gRPC carries.

A status travels in the trailing metadata, and gRPC's libraries refuse metadata of more than 8 KiB (at random up to
16 KiB, then always): instead of the error, its caller would be told of metadata. Modules choose their names, so names
are as long as they like.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

MAX_STATUS_BYTES = 5 << 10
"""Of the trailing metadata of one call. The message stands there again, percent-encoded, and proxies add more."""

_MIN_STATUS_BYTES = 100
"""Every failed call of a message may take as much: its code, and the beginning of why."""

_MESSAGE_BYTES = 800
"""Longest message."""

_TEXT_BYTES = 200
"""Longest text in details, where a status has to be shortened."""

_ANY_BYTES = 64
"""What a detail's type URL and lengths take."""


def share(message_bytes: int, calls: int) -> int:
    """How many bytes the status of each of so many calls may take, so that one message has room for all of them."""
    return max(_MIN_STATUS_BYTES, min(MAX_STATUS_BYTES, message_bytes * 3 // 4 // max(calls, 1)))


def fitting(message: str, details: Sequence[Message], limit: int) -> tuple[str, list[Message]]:
    """Message and details of a status that take at most about `limit` bytes.

    Where they take more, long texts are cut, then outer frames of a backtrace are left out, then whole details, the
    last one first.
    """
    message = _cut(message, _MESSAGE_BYTES)
    if _bytes(message, details) <= limit:
        return message, list(details)
    message = _cut(message, limit // 2)
    shortened = [_copy_with_short_texts(detail) for detail in details]
    for detail in shortened:
        if "frames" in detail.DESCRIPTOR.fields_by_name:
            _drop_outer_frames(detail, limit - _bytes(message, shortened) + detail.ByteSize())
    while shortened and _bytes(message, shortened) > limit:
        shortened.pop()
    return message, shortened


def _bytes(message: str, details: Sequence[Message]) -> int:
    return len(message.encode()) + sum(detail.ByteSize() + _ANY_BYTES for detail in details)


def _cut(text: str, limit: int) -> str:
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode(errors="ignore") + "..."


def _copy_with_short_texts(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    _cut_texts(copy)
    return copy


def _cut_texts(message: Message) -> None:
    for field, content in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in list(content):
                content[key] = _cut(content[key], _TEXT_BYTES)
        elif field.message_type is not None:
            for entry in (content,) if isinstance(content, Message) else content:
                _cut_texts(entry)
        elif isinstance(content, str):
            setattr(message, field.name, _cut(content, _TEXT_BYTES))


def _drop_outer_frames(detail: Message, limit: int) -> None:
    """Leave out the last of a detail's frames, so that it takes at most `limit` bytes; the innermost one stays."""
    frames = detail.frames  # type: ignore[attr-defined]
    size = detail.ByteSize()
    while len(frames) > 1 and size > limit:
        size -= frames[-1].ByteSize() + 3
        del frames[-1]
