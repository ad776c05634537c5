"""Resource names (AIP-122) from the short names that people use."""

from __future__ import annotations

from farcall.client import types


def store_resource(name: str) -> str:
    """`default` as `stores/default`; a whole resource name stays."""
    return name if name.startswith("stores/") else f"stores/{name}"


def instance_resource(store: str, name: str) -> str:
    """`app` in the store `stores/default` as `stores/default/instances/app`; a whole resource name stays."""
    return name if name.startswith("stores/") else f"{store}/instances/{name}"


def module_resource(module: types.Module | str) -> str:
    """A module, or its digest, as `modules/{sha256}`; a whole resource name stays."""
    if isinstance(module, types.Module):
        return f"modules/{module.digest}"
    return module if module.startswith("modules/") else f"modules/{module}"
