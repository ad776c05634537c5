"""Every module of the official test suite gets the suite's verdict, and its words.

`make spec` runs the suite as a whole; here only decoding and validation look at its modules, in seconds.
"""

from __future__ import annotations

import pytest

from farcall.engine.binary import decode_module
from farcall.engine.errors import (
    InvalidModuleError,
    MalformedModuleError,
    ModuleError,
    UnsupportedFeatureError,
)
from farcall.engine.instructions.instruction import Features, features_named
from farcall.engine.validation import validate_module
from tests.spectest.assembler import AssemblyError, assemble
from tests.spectest.commands import AssertRefused, ModuleCommand, parse_script
from tests.spectest.suite import HOW_TO_GET_IT, all_scripts, suite_directory, superseded_assertions

DIRECTORY = suite_directory()
SCRIPTS = [] if DIRECTORY is None else [entry for entry in all_scripts(DIRECTORY) if "/" not in entry[0]]

WANTED = {"assert_malformed": MalformedModuleError, "assert_invalid": InvalidModuleError}


@pytest.mark.skipif(DIRECTORY is None, reason=HOW_TO_GET_IT)
def test_the_suite_is_there():
    assert len(SCRIPTS) > 200


@pytest.mark.parametrize(("script", "path"), SCRIPTS, ids=[script for script, _ in SCRIPTS])
def test_modules_get_the_suite_s_verdict(script, path):
    superseded = superseded_assertions(path)
    for command in parse_script(path.read_bytes()):
        if not isinstance(command, ModuleCommand | AssertRefused):
            continue
        kind = command.kind if isinstance(command, AssertRefused) else "module"
        if kind == "assert_malformed" and command.source.form == "quote":
            continue  # about the text format, which is the assembler's business
        try:
            source = assemble(command.source)
        except AssemblyError:
            assert kind not in WANTED, f"{script}:{command.line}: cannot be assembled"
            continue
        features_off = superseded_features(command, superseded)
        found, reason = verdict(source, features_off)
        if found is UnsupportedFeatureError:
            continue
        where = f"{script}:{command.line}: {reason}"
        assert found is WANTED.get(kind), where
        if kind in WANTED:
            # Two commands of one file go on with what the reference interpreter says of operands.
            assert reason.startswith(command.message.partition(": instruction requires ")[0]), where


def superseded_features(command: ModuleCommand | AssertRefused, superseded: dict[str, str]) -> Features:
    """What is to be off for the suite to be right: later features contradict some of its assertions."""
    feature = superseded.get(command.message) if isinstance(command, AssertRefused) else None
    return frozenset() if feature is None else features_named([feature])


def verdict(source: bytes, features_off: Features) -> tuple[type[ModuleError] | None, str]:
    try:
        validate_module(decode_module(source, features_off), features_off)
    except ModuleError as error:
        return type(error), error.reason
    return None, "valid"
