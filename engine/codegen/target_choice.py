"""Targets other than this machine: what code is to run on that is compiled ahead, and whether it can run here."""

from __future__ import annotations

from llvmlite import binding as llvm

from farcall.engine.codegen.target import Target, host_target

NATIVE = "native"
"""Stands for this machine's CPU."""

_X86_64 = ("64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2")
_X86_64_V2 = (*_X86_64, "crc32", "cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_X86_64_V3 = (*_X86_64_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_X86_64_V4 = (*_X86_64_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")

_BASELINES: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "x86-64": _X86_64,
        "x86-64-v2": _X86_64_V2,
        "x86-64-v3": _X86_64_V3,
        "x86-64-v4": _X86_64_V4,
    },
    "aarch64": {"generic": ("fp-armv8", "neon")},
}
"""By architecture and LLVM's name of the CPU, the features that it has: the x86-64 levels are those of the System V
ABI, AMD64 supplement, section 3.1.1. LLVM knows more CPUs, but llvmlite does not tell what they have, which must be
known to tell where the code can run.
"""


def known_cpus() -> tuple[str, ...]:
    """The CPUs that can be chosen on this machine's architecture."""
    return NATIVE, *_BASELINES[host_target().architecture]


def choose_target(cpu: str = NATIVE, features: str = "") -> Target:
    """A target of this machine's architecture.

    Parameters:
        cpu: one of `known_cpus`.
        features: changes to what it has, as LLVM writes them: `+avx2,-bmi2`.

    Raises:
        ValueError: there is no such CPU or feature; the message says which there are.
    """
    host = host_target()
    if cpu == NATIVE:
        name, present = host.cpu, {feature[1:]: feature[0] == "+" for feature in host.features.split(",")}
    elif cpu in _BASELINES[host.architecture]:
        name, present = cpu, dict.fromkeys(_BASELINES[host.architecture][cpu], True)
    else:
        raise ValueError(f"there is no CPU {cpu!r}; known are {', '.join(known_cpus())}")
    present.update(_changes(features))
    text = ",".join(f"{'+' if has else '-'}{feature}" for feature, has in sorted(present.items()))
    return Target(host.triple, name, text)


def _changes(features: str) -> dict[str, bool]:
    known = dict(llvm.get_host_cpu_features())
    changes = {}
    for change in filter(None, (part.strip() for part in features.split(","))):
        if change[0] not in "+-":
            raise ValueError(f"a feature is switched on by + and off by -, {change!r} has neither before it")
        if change[1:] not in known:
            raise ValueError(f"there is no feature {change[1:]!r}; known are {', '.join(sorted(known))}")
        changes[change[1:]] = change[0] == "+"
    return changes


def why_not_here(target: Target) -> str | None:
    """Why code for a target cannot run on this machine; None if it can."""
    host = host_target()
    if target.triple != host.triple:
        return f"it is for {target.triple}, and this machine is {host.triple}"
    missing = sorted(target.capabilities - host.capabilities)
    if missing:
        return f"it is for a CPU ({target.cpu}) that has {', '.join(missing)}, which this machine's ({host.cpu}) lacks"
    return None
