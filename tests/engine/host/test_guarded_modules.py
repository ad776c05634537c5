"""Import modules whose mistakes end the guest that came upon them, and nothing else."""

from __future__ import annotations

import pytest

from farcall.engine import (
    I32,
    I64,
    EmscriptenModule,
    ExhaustionError,
    FunctionType,
    HostFailure,
    HostModule,
    ImportFailedError,
    ImportProvider,
    ProgramExit,
    TagType,
    TerminatedError,
    Trap,
    TrapKind,
    WasmException,
)
from farcall.engine.host.guarded_module import GuardedModule

CALLER = """(module $guest (import "own" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func $inner (param i32) (result i32) (call $f (local.get 0)))
  (func (export "run") (param i32) (result i32) (call $inner (local.get 0)))
  (export "again" (func $f)))"""
ONE_TO_ONE = FunctionType((I32,), (I32,))


@pytest.fixture
def reports():
    return []


@pytest.fixture
def calling(make, reports):
    """An instance that calls a function through a guard."""

    def calling(implementation, **options):
        module = HostModule("own")
        module.define("f", ONE_TO_ONE, implementation, **options)
        guarded = GuardedModule(module, lambda failure, error: reports.append((failure, error)))
        return make(CALLER, {"own": guarded})

    return calling


def test_what_works_is_as_without(calling, reports):
    instance = calling(lambda caller, number: caller.memory.size + number, pass_caller=True)
    assert instance.exports.run(1) == 65537
    assert instance.exports.again(2) == 65538
    assert reports == []


class OwnError(Exception):
    """Of a host module's author."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OwnError("too late"), "OwnError: too late"),
        (OwnError(), "OwnError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError("x"), "KeyError: 'x'"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_any_exception_ends_the_guest_with_the_imports_names_and_the_backtrace(
    calling, reports, error, reason
):
    def fail(_number):
        raise error

    instance = calling(fail)
    with pytest.raises(ImportFailedError) as raised:
        instance.exports.run(1)
    failure = raised.value
    assert failure.message == f'the import "own" "f" failed: {reason}'
    assert (failure.module, failure.name) == ("own", "f")
    assert [frame.function_name for frame in failure.backtrace] == ["inner", "run"]
    assert failure.__cause__ is error
    assert reports == [(failure, error)]
    with pytest.raises(ImportFailedError):
        instance.exports.again(1)  # an import that is exported is called without a guest
    assert len(reports) == 2


def test_a_pointer_out_of_memory_is_told_as_a_failure(calling):
    instance = calling(lambda caller, pointer: caller.view(pointer, 4)[0], pass_caller=True)
    with pytest.raises(ImportFailedError, match="RangeError: bytes 65534 to 65538 lie outside"):
        instance.exports.run(65534)


@pytest.mark.parametrize("result", [None, "one", 1 << 32, (1, 2)])
def test_a_result_that_does_not_fit_is_a_failure(calling, reports, result):
    instance = calling(lambda _number: result)
    for function in (instance.exports.run, instance.exports.again):
        with pytest.raises(ImportFailedError, match='the import "own" "f" failed: ArgumentError: '):
            function(1)
    assert len(reports) == 2


@pytest.mark.parametrize(
    "error",
    [
        HostFailure("no more"),
        Trap(TrapKind.UNREACHABLE),
        ProgramExit(3),
        TerminatedError("enough"),
        ExhaustionError("full"),
    ],
)
def test_what_says_by_itself_how_the_guest_ended_is_passed_on(calling, reports, error):
    def fail(_number):
        raise error

    with pytest.raises(type(error)) as raised:
        calling(fail).exports.run(1)
    assert raised.value is error
    assert reports == []


def test_exceptions_of_the_guests_kind_are_thrown_in_the_guest(make, store, reports):
    text = """(module (import "own" "f" (func $f)) (import "own" "tag" (tag $tag (param i32)))
      (func (export "run") (result i32)
        (block $caught (result i32)
          (try_table (catch $tag $caught) (call $f)) (i32.const -1))))"""
    tag = store.tag(TagType(FunctionType((I32,), ())))
    module = HostModule("own")

    @module.function(FunctionType((), ()))
    def f():
        raise WasmException(tag, (7,))

    imports = {("own", "tag"): tag, "own": GuardedModule(module)}
    assert make(text, imports).exports.run() == 7


def test_functions_that_machine_code_calls_directly_are_guarded_too(make, reports):
    class Direct(ImportProvider):
        def provide(self, entry, caller):
            return caller.store.direct_host_function(
                entry.type, lambda number: 10 // (number - 5), entry.name
            )

    instance = make(CALLER, {"own": GuardedModule(Direct(), lambda *report: reports.append(report))})
    assert instance.exports.run(10) == 2
    assert instance.exports.run(-1) == 0  # unsigned, as without
    with pytest.raises(ImportFailedError, match="ZeroDivisionError"):
        instance.exports.run(5)
    assert len(reports) == 1


def test_a_provider_that_fails_is_told_when_the_instance_is_made(make, reports):
    class Broken(ImportProvider):
        def provide(self, entry, caller):
            raise OwnError("no idea")

    with pytest.raises(ImportFailedError, match='the import "own" "f" failed: OwnError: no idea'):
        make(CALLER, {"own": GuardedModule(Broken(), lambda *report: reports.append(report))})
    assert len(reports) == 1


def test_jumps_through_a_guard_reach_their_setjmp(make):
    instance = make(
        """(module
          (import "env" "invoke_v" (func $invoke (param i32)))
          (import "env" "emscripten_longjmp" (func $jump))
          (table (export "__indirect_function_table") 2 funcref) (elem (i32.const 1) $jump)
          (global $threw (export "threw") (mut i32) (i32.const 0))
          (func (export "stackSave") (result i32) (i32.const 0))
          (func (export "stackRestore") (param i32))
          (func (export "setThrew") (param i32 i32) (global.set $threw (local.get 0)))
          (func (export "run") (call $invoke (i32.const 1))))""",
        {"env": GuardedModule(EmscriptenModule())},
    )
    instance.exports.run()
    assert instance.global_("threw").value == 1


def test_other_externs_are_passed_on(make, store):
    class Memories(ImportProvider):
        def provide(self, entry, caller):
            return caller.store.memory(entry.type) if entry.name == "memory" else None

    guarded = {"own": GuardedModule(Memories())}
    assert (
        make('(module (import "own" "memory" (memory 2)) (export "m" (memory 0)))', guarded).memory("m").pages
        == 2
    )
    with pytest.raises(Exception, match="unknown import"):
        make('(module (import "own" "other" (memory 2)))', guarded)


def test_integers_of_64_bits_pass_as_they_are(make):
    module = HostModule("own")
    module.define("f", FunctionType((I64,), (I64,)), lambda number: -number)
    instance = make(
        """(module (import "own" "f" (func $f (param i64) (result i64)))
          (func (export "run") (param i64) (result i64) (call $f (local.get 0))))""",
        {"own": GuardedModule(module)},
    )
    assert instance.exports.run(1 << 62) == -(1 << 62)
