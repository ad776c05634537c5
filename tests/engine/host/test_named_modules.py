"""Host modules that are named in text, and what is built in beside them."""

from __future__ import annotations

import itertools
import sys

import pytest

from farcall.engine import (
    I32,
    EmscriptenModule,
    FunctionType,
    HostFailure,
    HostModule,
    HostModuleError,
    LinkError,
    Trap,
)
from farcall.engine.host.built_in import built_in_imports
from farcall.engine.host.named_modules import check_host_modules, load_host_modules

_numbers = itertools.count()


@pytest.fixture
def python_module(tmp_path, monkeypatch):
    """Writes a Python module that can be imported; its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(text):
        name = f"named_module_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


GOOD = """
from farcall.engine import HostModule, EmscriptenModule

module = HostModule("one")


class Holder:
    inner = module


def make():
    return HostModule("made")
"""


@pytest.mark.parametrize("attribute", ["module", "make", "EmscriptenModule", "Holder.inner"])
def test_modules_and_what_makes_them_are_loaded(python_module, attribute):
    name = python_module(GOOD)
    ((found, provider),) = load_host_modules([f"guests.name={name}:{attribute}"]).items()
    assert found == "guests.name"
    kind = EmscriptenModule if attribute == "EmscriptenModule" else HostModule
    assert isinstance(provider, kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env", "is written NAME=package.module:attribute, not 'env'"),
        ("env=os", "is written NAME=package.module:attribute, not 'env=os'"),
        ("=os:x", "is written NAME=package.module:attribute"),
        ("env=:x", "is written NAME=package.module:attribute"),
        ("env=os:", "is written NAME=package.module:attribute"),
        ("env=no_such_package.inner:x", "there is no Python module 'no_such_package'; it is to be installed"),
        ("env=os:no_such", "'os' has no attribute 'no_such'"),
        ("env=os:path.no_such", "'os' has no attribute 'path.no_such'"),
        (
            "env=os:sep",
            "'sep' should be a HostModule, or a function that returns one, but is an object of type str",
        ),
        ("env=os:getcwd", "getcwd\\(\\) should return a HostModule, but gave an object of type str"),
        ("env=os:chdir", "chdir\\(\\) failed: TypeError: "),
        ("env=sys:exit", "exit\\(\\) failed: SystemExit"),
        ("wasi_snapshot_preview1=farcall.engine:EmscriptenModule", "is built in, and cannot be the name"),
        ("wasi_unstable=farcall.engine:EmscriptenModule", "is built in, and cannot be the name"),
    ],
)
def test_what_cannot_be_loaded_is_told(text, message):
    with pytest.raises(HostModuleError, match=message):
        load_host_modules([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import no_such_package",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'",
        ),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit(1)", "cannot be imported: SystemExit: 1"),
    ],
)
def test_a_python_module_that_fails_is_told_with_the_reason(python_module, text, message):
    with pytest.raises(HostModuleError, match=message) as raised:
        load_host_modules([f"env={python_module(text)}:module"])
    assert raised.value.__cause__ is not None


def test_a_name_is_one_modules(python_module):
    name = python_module(GOOD)
    with pytest.raises(HostModuleError, match="two host modules are named 'a'"):
        load_host_modules([f"a={name}:make", f"b={name}:make", f"a={name}:module"])


def test_objects_are_checked():
    check_host_modules({"env": HostModule("env")})
    with pytest.raises(HostModuleError, match="'env' is none, but the class HostModule"):
        check_host_modules({"env": HostModule})


# -- Beside what is built in -------------------------------------------------------------------------------------------

ABORTS = (
    '(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))'
    """
  (memory (export "memory") 1)
  (func (export "run") (call $abort (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2))))"""
)


def test_what_compilers_import_is_there_without_wasi(make):
    with pytest.raises(Trap, match=r"abort: \(no message\)"):
        make(ABORTS, built_in_imports()).exports.run()
    with pytest.raises(LinkError, match="unknown import"):
        make('(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))', built_in_imports())
    with pytest.raises(HostFailure, match="no setjmp"):
        make(
            """(module (import "env" "longjmp" (func $jump (param i32 i32)))
              (func (export "run") (call $jump (i32.const 0) (i32.const 1))))""",
            built_in_imports(),
        ).exports.run()


def test_a_module_named_env_goes_before_what_is_built_in_and_does_not_hide_it(make):
    calls = []
    own = HostModule("env")
    own.define("log", FunctionType((), ()), lambda: calls.append("log"))
    imports = built_in_imports(host_modules={"env": own})
    text = ABORTS.replace("(memory", '(import "env" "log" (func $log)) (export "log" (func $log)) (memory', 1)
    instance = make(text, imports)
    instance.exports.log()
    assert calls == ["log"]
    with pytest.raises(Trap, match="abort"):
        instance.exports.run()

    own.define("abort", FunctionType((I32,) * 4, ()), lambda *_: calls.append("abort"))
    make(text, imports).exports.run()
    assert calls == ["log", "abort"]
