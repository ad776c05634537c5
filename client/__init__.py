"""Clients of farcall: call WebAssembly functions that run on a server.

::

    from farcall.client import Client

    with Client("localhost:7070") as client:
        module = client.upload("adder.wasm")
        with client.store().instantiate(module) as instance:
            print(instance.exports.add(1, 2))

`AsyncClient` is the same for asyncio. Errors are those of `farcall.client.errors`, drawn there as a tree.

All names come from `farcall.client.interface`, when one is first asked for: so `import farcall.client` costs nothing,
and the command line can tell gRPC not to log before gRPC is loaded, which is when it wants to know.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farcall.client.interface import *  # noqa: F403 - its __all__ is the one list of these names
else:

    def __getattr__(name: str) -> object:
        if name.islower():  # a module of the package, which Python loads by itself where it is told no
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        interface = import_module("farcall.client.interface")
        if name == "__all__" or name in interface.__all__:
            return getattr(interface, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *import_module("farcall.client.interface").__all__]
