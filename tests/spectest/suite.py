"""Where the official test suite is."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

HOW_TO_GET_IT = (
    "The WebAssembly test suite is not there. Get it with\n"
    "    git clone https://github.com/WebAssembly/testsuite ../shared/testsuite\n"
    "or set FARCALL_TESTSUITE to the directory that has it."
)

SUPERSEDED = {
    ("proposals/threads/imports.wast", "multiple tables"): "reference-types",
    ("proposals/threads/imports.wast", "multiple memories"): "multi-memory",
    ("proposals/threads/memory.wast", "multiple memories"): "multi-memory",
    ("br_on_cast.wast", "type mismatch"): "custom-descriptors",
    ("br_on_cast_fail.wast", "type mismatch"): "custom-descriptors",
}
"""Assertions, by file and message, that later features contradict.

The feature is switched off for them: then the engine must say what they want.
"""


def superseded_assertions(path: Path) -> dict[str, str]:
    """The messages of superseded assertions in the script at `path`, and the feature that supersedes each."""
    script = _name_of(path)
    return {message: feature for (name, message), feature in SUPERSEDED.items() if name == script}


def _name_of(path: Path) -> str:
    """A script's name: of proposals with their folders, for they have scripts of the same name as the standard."""
    parts = path.parts
    return "/".join(parts[parts.index("proposals") :]) if "proposals" in parts else path.name


def suite_directory() -> Path | None:
    """The directory with the suite's scripts, or None where there is none."""
    configured = os.environ.get("FARCALL_TESTSUITE")
    directory = Path(configured) if configured else REPOSITORY.parent / "shared" / "testsuite"
    return directory if directory.is_dir() else None


def all_scripts(directory: Path) -> list[tuple[str, Path]]:
    """Every script of the suite: its name, relative to the directory, and its path."""
    paths = sorted(directory.rglob("*.wast"), key=lambda path: (len(path.relative_to(directory).parts), path))
    return [(path.relative_to(directory).as_posix(), path) for path in paths]


def find_script(name: str, directory: Path | None) -> tuple[str, Path]:
    """A script by its path or by its name in the suite.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return name, path
    if directory is not None:
        for candidate in (directory / name, directory / f"{name}.wast"):
            if candidate.is_file():
                return candidate.relative_to(directory).as_posix(), candidate
    raise FileNotFoundError(f"no script {name}, neither as a path nor in the suite")
