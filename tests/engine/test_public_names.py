"""The engine's names are there when they are asked for, and processes that compile do without what they do not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import farcall.engine
from farcall.engine import public_names


def imported_by(statement: str) -> set[str]:
    """The modules that a new process has after a statement."""
    program = f"import sys; {statement}; print(*sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(outcome.stdout.split())


def test_all_names_are_there() -> None:
    assert set(public_names.__all__) <= set(dir(farcall.engine))
    for name in public_names.__all__:
        assert getattr(farcall.engine, name) is getattr(public_names, name)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Motor'"):
        farcall.engine.Motor  # noqa: B018 - asking is what is tested
    assert imported_by("from farcall.engine import *; Engine") >= {"farcall.engine.engine"}


def test_modules_of_the_package_are_attributes_as_if_they_had_been_imported() -> None:
    assert imported_by("import farcall.engine; farcall.engine.errors.Trap") >= {"farcall.engine.errors"}


def test_the_process_that_compiles_imports_neither_runtime_nor_cache() -> None:
    parts = {
        name.split(".")[2]
        for name in imported_by("import farcall.engine.jobs.template")
        if name.startswith("farcall.engine.")
    }
    assert {"jobs", "lowering", "codegen", "binary"} <= parts
    assert (
        not {"public_names", "engine", "runtime", "cache", "tiers", "host", "inspection", "validation"}
        & parts
    )
