"""Host modules that somebody names instead of passing them: `NAME=package.module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from farcall.engine.errors import HostModuleError
from farcall.engine.host.built_in import RESERVED_NAMES
from farcall.engine.runtime.caller import ImportProvider

_FORM = "NAME=package.module:attribute"


def load_host_modules(texts: Iterable[str]) -> dict[str, ImportProvider]:
    """Import what provides for guests, by the names that they import from.

    Parameters:
        texts: `NAME=package.module:attribute` each. The attribute, which may have dots, is a `HostModule` or another
            `ImportProvider`, or is called without arguments and returns one.

    Raises:
        HostModuleError: one is not of this form, cannot be imported, is none, or has the name of another.
    """
    modules: dict[str, ImportProvider] = {}
    for text in texts:
        name, separator, place = text.partition("=")
        package, colon, attribute = place.partition(":")
        if not (separator and colon and name and package and attribute):
            raise HostModuleError(f"a host module is written {_FORM}, not {text!r}")
        if name in modules:
            raise HostModuleError(f"two host modules are named {name!r}")
        modules[name] = _load(text, package, attribute)
    check_host_modules(modules)
    return modules


def check_host_modules(modules: Mapping[str, Any]) -> None:
    """Look whether guests can import from these.

    Raises:
        HostModuleError: one is no `ImportProvider`, or has the name of a module that is built in.
    """
    for name, module in modules.items():
        if name in RESERVED_NAMES:
            raise HostModuleError(f"{name!r} is built in, and cannot be the name of a host module")
        if not isinstance(module, ImportProvider):
            raise HostModuleError(f"the host module {name!r} is none, but {_kind(module)}")


def _load(text: str, package: str, attribute: str) -> ImportProvider:
    found = _import(text, package)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise HostModuleError(
                f"host module {text!r}: {package!r} has no attribute {attribute!r}"
            ) from None
    if isinstance(found, ImportProvider):
        return found
    if not callable(found):
        wanted = "a HostModule, or a function that returns one"
        raise HostModuleError(
            f"host module {text!r}: {attribute!r} should be {wanted}, but is {_kind(found)}"
        )
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise HostModuleError(f"host module {text!r}: {attribute}() failed: {_words(error)}") from error
    if not isinstance(made, ImportProvider):
        raise HostModuleError(
            f"host module {text!r}: {attribute}() should return a HostModule, but gave {_kind(made)}"
        )
    return made


def _import(text: str, package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and (package == error.name or package.startswith(f"{error.name}.")):
            hint = "it is to be installed where farcall is, or in a directory of PYTHONPATH"
            raise HostModuleError(
                f"host module {text!r}: there is no Python module {error.name!r}; {hint}"
            ) from None
        raise HostModuleError(
            f"host module {text!r}: {package!r} cannot be imported: {_words(error)}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise HostModuleError(
            f"host module {text!r}: {package!r} cannot be imported: {_words(error)}"
        ) from error


def _kind(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return f"an object of type {type(found).__name__}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
