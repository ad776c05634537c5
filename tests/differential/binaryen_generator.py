"""Random modules from Binaryen's generator: `wasm-opt --translate-to-fuzz` turns any bytes into a valid module."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

FEATURES = {
    "bulk-memory": "bulk-memory",
    "extended-const": "extended-const",
    "memory64": "memory64",
    "multi-memory": "multimemory",
    "multi-value": "multivalue",
    "mutable-globals": "mutable-globals",
    "reference-types": "reference-types",
    "saturating-float-to-int": "nontrapping-float-to-int",
    "sign-extension": "sign-ext",
    "tail-call": "tail-call",
    "threads": "threads",
    "wide-arithmetic": "wide-arithmetic",
}
"""Binaryen's names of the features that its modules may use, by farcall's."""

UNSEEN_FEATURES = {
    "exception-handling": "exception-handling",
    "gc": "gc",
    "relaxed-simd": "relaxed-simd",
    "simd": "simd",
}
"""Likewise, those with types of which wasmtime's Python package knows no values: it ends the process."""

SIZES = (200, 1000, 4000, 12000)
"""Bytes that a module is made from."""


class BinaryenGenerator:
    """Makes modules with `wasm-opt`.

    `--denan` makes the NaNs of float operations canonical, which the specification leaves open.
    """

    def __init__(self, wasm_opt: Path, directory: Path) -> None:
        self._wasm_opt = wasm_opt
        self._input, self._output = directory / "random", directory / "module.wasm"

    def generate(self, source: random.Random, features: tuple[str, ...], *, unseen: bool = False) -> bytes:
        """A valid module that uses only these features of farcall's; the unseen ones only where that is wanted.

        Raises:
            subprocess.CalledProcessError: Binaryen failed.
        """
        names = FEATURES | UNSEEN_FEATURES if unseen else FEATURES
        wanted = [feature for feature in features if feature in names]
        # With threads, every memory is shared: half of the modules do without.
        if source.getrandbits(1):
            wanted = [feature for feature in wanted if feature != "threads"]
        self._input.write_bytes(source.randbytes(source.choice(SIZES)))
        passes = source.choice(([], ["-O1"], ["-O3"], ["--flatten"]))
        subprocess.run(
            [
                *(self._wasm_opt, "-q", "--mvp-features", "--translate-to-fuzz", "--denan", *passes),
                *(f"--enable-{names[feature]}" for feature in wanted),
                *(self._input, "-o", self._output),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        return self._output.read_bytes()
