"""The machine that code is made for."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

from llvmlite import binding as llvm

_TARGETS_LOCK = threading.Lock()


@functools.cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


@dataclass(frozen=True, slots=True)
class Target:
    """A machine: LLVM's triple, CPU name and feature string. It belongs to the key of compiled code."""

    triple: str
    cpu: str
    features: str

    @property
    def architecture(self) -> str:
        """`x86_64` or `aarch64`."""
        return self.triple.split("-")[0]

    @property
    def capabilities(self) -> frozenset[str]:
        """The architecture, and the names of the features that the machine is known to have."""
        features = (feature[1:] for feature in self.features.split(",") if feature.startswith("+"))
        return frozenset((self.architecture, *features))

    def machine(self, optimization: int) -> llvm.TargetMachine:
        """An LLVM target machine for position-independent code; `optimization` is 0 to 3."""
        with _TARGETS_LOCK:
            _initialize()
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=optimization, reloc="pic", codemodel="small"
        )


@functools.cache
def host_target() -> Target:
    """This machine.

    Raises:
        RuntimeError: the machine is no 64-bit x86 or ARM Linux machine.
    """
    with _TARGETS_LOCK:
        _initialize()
    triple = llvm.get_process_triple()
    if triple.split("-")[0] not in ("x86_64", "aarch64") or "linux" not in triple:
        raise RuntimeError(f"farcall compiles for x86-64 and AArch64 Linux, not for {triple}")
    return Target(triple, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
