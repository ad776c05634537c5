"""Archives that clients upload for their guests."""

from __future__ import annotations

from farcall.proto.farcall.v1 import wasi_pb2 as messages
from farcall.server.errors import RequestError, bad_request, limit_reached


class ArchiveCollector:
    """The archives of a request's mounts, whose bytes come in pieces."""

    def __init__(self, message: messages.WasiConfiguration, field: str, max_bytes: int) -> None:
        """Take what the request has of them.

        Parameters:
            field: where the message stands in the request.
            max_bytes: what all may have together.

        Raises:
            RequestError: a size is wrong, or too large.
        """
        self._parts: dict[int, list[bytes]] = {}
        self._missing: dict[int, int] = {}
        total = 0
        for index, mount in enumerate(message.mounts):
            if mount.WhichOneof("source") != "archive":
                continue
            archive = mount.archive
            size = archive.size_bytes if archive.HasField("size_bytes") else len(archive.data)
            where = f"{field}.mounts[{index}].archive"
            if size < len(archive.data):
                raise bad_request(
                    f"{where}.size_bytes", f"is {size}, but there are {len(archive.data)} bytes of data"
                )
            total += size
            if total > max_bytes:
                raise limit_reached(
                    where, f"the archives have {total} bytes, at most {max_bytes} are accepted"
                )
            self._parts[index] = [archive.data]
            if size > len(archive.data):
                self._missing[index] = size - len(archive.data)

    @property
    def missing(self) -> int | None:
        """The mount whose archive the next bytes belong to; None once all are complete."""
        return next(iter(self._missing), None)

    def add(self, mount_index: int, data: bytes, field: str) -> None:
        """More bytes of an archive. Raises RequestError if they are not wanted."""
        wanted = self.missing
        if wanted is None:
            raise bad_request(field, "all archives are complete")
        if mount_index != wanted:
            raise bad_request(
                f"{field}.mount_index",
                f"must be {wanted}, whose archive is not complete, but is {mount_index}",
            )
        if len(data) > self._missing[wanted]:
            raise self._too_many(len(data), wanted, field)
        self._parts[wanted].append(data)
        self._missing[wanted] -= len(data)
        if not self._missing[wanted]:
            del self._missing[wanted]

    def _too_many(self, given: int, wanted: int, field: str) -> RequestError:
        return bad_request(
            f"{field}.data",
            f"has {given} bytes, but the archive of mount {wanted} lacks only {self._missing[wanted]}",
        )

    def check_complete(self, field: str) -> None:
        """Raise RequestError if bytes are missing and none will come."""
        if self._missing:
            index, size = next(iter(self._missing.items()))
            raise bad_request(field, f"{size} bytes of the archive of mount {index} are missing")

    def content(self, mount_index: int) -> bytes:
        """The whole archive of a mount."""
        return b"".join(self._parts.get(mount_index, ()))
