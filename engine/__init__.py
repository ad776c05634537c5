"""farcall's engine: WebAssembly at native speed, as a library.

>>> from farcall.engine import Engine, Store
>>> with Engine() as engine, Store(engine) as store:
...     instance = store.instantiate(engine.load_module(source))
...     instance.exports.add(1, 2)
3

`engine.engine` tells the whole journey from bytes to a call.

All names come from `farcall.engine.public_names`, when one is first asked for: the processes that compile, whose start
others wait for, import the parts that they need and no more.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farcall.engine.public_names import *  # noqa: F403 - its __all__ is the one list of these names
else:

    def __getattr__(name: str) -> object:
        names = import_module("farcall.engine.public_names")
        if name == "__all__" or name in names.__all__:
            globals()[name] = getattr(names, name)
        if name not in globals():  # modules of the package are there as well now
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        return [*globals(), *import_module("farcall.engine.public_names").__all__]
