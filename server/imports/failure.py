"""How a guest ends whose call of a client's function failed."""

from __future__ import annotations

from farcall.engine import HostFailure


class ImportFailedError(HostFailure):
    """A function that a client provides failed, or the client is gone.

    Attributes:
        module: the import's first name.
        name: the import's second name.
    """

    def __init__(self, module: str, name: str, reason: str) -> None:
        super().__init__(f'the import "{module}" "{name}" failed: {reason}')
        self.module = module
        self.name = name
