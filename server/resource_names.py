"""Resource names (AIP-122): `modules/{sha256}`, `stores/{store}`, `stores/{store}/instances/{instance}`."""

from __future__ import annotations

import re
from collections.abc import Callable

from farcall.server.errors import RequestError, bad_request

_STORE_ID = r"[a-z0-9][a-z0-9_-]{0,62}"
_INSTANCE_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"

_MODULE = re.compile(r"modules/([0-9a-f]{64})")
_STORE = re.compile(rf"stores/({_STORE_ID})")
_INSTANCE = re.compile(rf"stores/({_STORE_ID})/instances/({_INSTANCE_ID})")

_SHOWN = 200


def module_name(sha256: str) -> str:
    """The resource name of a module."""
    return f"modules/{sha256}"


def store_name(store_id: str) -> str:
    """The resource name of a store."""
    return f"stores/{store_id}"


def instance_name(store_id: str, instance_id: str) -> str:
    """The resource name of an instance."""
    return f"stores/{store_id}/instances/{instance_id}"


def parse_module_name(name: str, field: str) -> str:
    """The digest in a module's resource name. Raises RequestError that names `field`."""
    return _parse(_MODULE, name, field, "modules/{sha256 in lower-case hexadecimal}")[0]


def parse_store_name(name: str, field: str) -> str:
    """The id in a store's resource name. Raises RequestError that names `field`."""
    return _parse(_STORE, name, field, "stores/{store}")[0]


def parse_instance_name(name: str, field: str) -> tuple[str, str]:
    """The ids of store and instance in an instance's resource name. Raises RequestError that names `field`."""
    store, instance = _parse(_INSTANCE, name, field, "stores/{store}/instances/{instance}")
    return store, instance


def _parse(pattern: re.Pattern[str], name: str, field: str, form: str) -> tuple[str, ...]:
    match = pattern.fullmatch(name)
    if match is None:
        raise _malformed(name, field, f"must have the form {form}")
    return match.groups()


def check_store_id(store_id: str) -> None:
    """Raise RequestError unless a store may be called that."""
    _check_id(re.compile(_STORE_ID).fullmatch, store_id, "store_id", "a-z, 0-9, - and _")


def check_instance_id(instance_id: str) -> None:
    """Raise RequestError unless an instance may be called that."""
    _check_id(re.compile(_INSTANCE_ID).fullmatch, instance_id, "instance_id", "a-z, A-Z, 0-9, -, _ and .")


def _check_id(
    matches: Callable[[str], re.Match[str] | None], identifier: str, field: str, characters: str
) -> None:
    if matches(identifier) is None:
        raise _malformed(
            identifier, field, f"must be 1 to 63 of {characters}, and start with a letter or a digit"
        )


def _malformed(name: str, field: str, wanted: str) -> RequestError:
    shown = repr(name) if len(name) <= _SHOWN else f"{name[:_SHOWN]!r}... ({len(name)} characters)"
    return bad_request(field, f"{wanted}, but is {shown}" if name else f"{wanted}, but is empty")
