"""Host modules: Python functions that know who calls them; AssemblyScript's and Emscripten's; reactors."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from farcall.engine import (
    F64,
    I32,
    I64,
    AbortTrap,
    CombinedModule,
    EmscriptenModule,
    ExportNotFoundError,
    FunctionType,
    HostModule,
    LinkError,
    ProgramExit,
    RangeError,
    Store,
    TerminatedError,
    Trap,
    TrapKind,
    assembly_script_module,
)
from tests.engine.guests import Background, wasm

LOGGER = """(module (import "env" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello")
  (func (export "run") (param i32 i32) (call $log (local.get 0) (local.get 1))))"""


@pytest.fixture
def log():
    lines: list[tuple[str, bytes]] = []
    environment = HostModule("env")

    @environment.function(FunctionType((I32, I32), ()), pass_caller=True)
    def log(caller, pointer, length):
        lines.append((caller.name, bytes(caller.view(pointer, length))))

    return environment, lines


def test_a_host_function_reads_and_writes_its_callers_memory(make, log):
    environment, lines = log
    first = make(LOGGER, environment.imports, name="first")
    second = make(LOGGER, environment.imports, name="second")
    second.memory("memory").write(16, b"HELLO")
    first.exports.run(16, 5)
    second.exports.run(16, 5)
    assert lines == [("first", b"hello"), ("second", b"HELLO")]

    writer = HostModule("env")
    writer.define(
        "log",
        FunctionType((I32, I32), ()),
        lambda caller, at, count: caller.view(at, count).__setitem__(slice(0, count), b"x" * count),
        pass_caller=True,
    )
    third = make(LOGGER, writer.imports)
    third.exports.run(18, 2)
    assert third.memory("memory").read(16, 5) == b"hexxo"


def test_the_caller_is_whose_import_it_is_and_not_who_was_entered(make, log):
    environment, lines = log
    inner = make(LOGGER, environment.imports, name="inner")
    outer = make(
        """(module (import "inner" "run" (func $run (param i32 i32))) (memory (export "memory") 1)
          (func (export "run") (call $run (i32.const 16) (i32.const 5))))""",
        {"inner": inner},
        name="outer",
    )
    outer.exports.run()
    assert lines == [("inner", b"hello")]


def test_memory_is_checked_and_grows(make, log):
    environment, lines = log
    instance = make(LOGGER, environment.imports)
    with pytest.raises(RangeError, match="lie outside of a memory of 65536 bytes"):
        instance.exports.run(65535, 2)
    with pytest.raises(RangeError, match="lie outside"):
        instance.exports.run(-1, 1)
    instance.memory("memory").grow(1)
    instance.exports.run(65535, 2)
    assert lines[-1][1] == bytes(2)


def test_a_caller_without_memory_is_told_so(make, log):
    environment, _ = log
    text = LOGGER.replace('(export "memory")', '(export "heap")')
    with pytest.raises(ExportNotFoundError, match="exports no memory named 'memory'"):
        make(text, environment.imports, name="it").exports.run(0, 0)


def test_start_functions_may_call_host_functions(make, log):
    environment, lines = log
    make(
        """(module (import "env" "log" (func $log (param i32 i32))) (memory (export "memory") 1)
          (data (i32.const 0) "early") (func $start (call $log (i32.const 0) (i32.const 5))) (start $start))""",
        environment.imports,
        name="it",
    )
    assert lines == [("it", b"early")]


def test_definitions_are_checked():
    module = HostModule("env")
    module.define("f", FunctionType((), ()), print)
    with pytest.raises(ValueError, match='a function "f" already'):
        module.define("f", FunctionType((), ()), print)
    with pytest.raises(TypeError, match="cannot be called"):
        module.define("g", FunctionType((), ()), 1)
    with pytest.raises(TypeError, match="should be a FunctionType"):
        module.define("g", (I32,), print)
    assert list(module) == ["f"]


def test_what_a_host_module_has_not_does_not_link(make, log):
    environment, _ = log
    with pytest.raises(LinkError, match='"env" "other"'):
        make('(module (import "env" "other" (func)))', environment.imports)
    with pytest.raises(LinkError, match='"env" "log"'):
        make('(module (import "env" "log" (memory 1)))', environment.imports)
    with pytest.raises(LinkError, match="incompatible import type"):
        make('(module (import "env" "log" (func (param i64))))', environment.imports)


def test_instances_with_host_functions_are_gone_when_they_are_dropped(engine, log):
    environment, _ = log
    store = Store(engine)
    instance = store.instantiate(engine.load_module(wasm(LOGGER)), environment.imports)
    gone = weakref.ref(instance.engine)
    store.close()
    del instance, store
    gc.collect()
    assert gone() is None


def test_a_host_function_that_waits_is_stopped(store, make):
    environment = HostModule("env")
    waits = threading.Event()

    @environment.function(FunctionType((), ()), pass_caller=True)
    def wait(caller):
        caller.waiter.prepare()
        waits.set()
        caller.waiter.wait_for(lambda: False)

    instance = make(
        '(module (import "env" "wait" (func $wait)) (func (export "run") (call $wait)))', environment.imports
    )
    waiting = Background(instance.exports.run)
    waits.wait()
    store.close()
    waiting.join()
    assert isinstance(waiting.error, TerminatedError)


def test_integers_go_to_a_direct_host_function_as_they_are(store, make):
    seen = []

    def add(first, second):
        seen.append((first, second))
        return first + second

    function = store.direct_host_function(FunctionType((I32, I64), (I64,)), add)
    instance = make(
        """(module (import "env" "add" (func $add (param i32 i64) (result i64))) (export "same" (func $add))
          (func (export "run") (result i64) (call $add (i32.const -1) (i64.const -2))))""",
        {"env": {"add": function}},
    )
    assert instance.exports.run() == 2**32 - 3  # of 64 bits
    assert seen == [(2**32 - 1, 2**64 - 2)]
    assert instance.exports.same(-1, -1) == 2**32 - 2
    with pytest.raises(ValueError, match="has integers"):
        store.direct_host_function(FunctionType((F64,), ()), add)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 11, 12])
def test_a_direct_host_function_sees_the_bits_of_its_parameters_and_no_others(store, make, count):
    """What is above an i32 in its register or word is anything, and so is what lies where further parameters would."""
    seen = []
    types = tuple(I32 if position % 2 else I64 for position in range(count))
    function = store.direct_host_function(
        FunctionType(types, (I32,)), lambda *arguments: seen.append(arguments) or -1
    )
    arguments = " ".join(
        f"(i32.wrap_i64 (i64.add (local.get 0) (i64.const {position})))"
        if position % 2
        else f"(i64.add (local.get 0) (i64.const {position}))"
        for position in range(count)
    )
    parameters = " ".join(kind.llvm for kind in types)
    instance = make(
        f"""(module (import "env" "f" (func $f (param {parameters}) (result i32)))
          (func (export "run") (param i64) (result i64) (i64.extend_i32_u (call $f {arguments}))))""",
        {"env": {"f": function}},
    )
    base = -(1 << 60) + 77
    assert instance.exports.run(base) == (1 << 32) - 1
    expected = [(base + position) % (1 << (32 if position % 2 else 64)) for position in range(count)]
    assert seen == [tuple(expected)]
    with pytest.raises(ValueError, match="at most 12"):
        store.direct_host_function(FunctionType((I32,) * 13, ()), lambda *_: None)


@pytest.mark.parametrize(
    ("result", "error"),
    [(lambda: "text", TypeError), (lambda: 1 / 0, ZeroDivisionError), (lambda: 1.5, TypeError)],
)
def test_errors_of_direct_host_functions_reach_the_caller(store, make, result, error):
    function = store.direct_host_function(FunctionType((), (I32,)), result)
    instance = make(
        """(module (import "env" "f" (func $f (result i32))) (func (export "run") (result i32) (call $f)))""",
        {"env": {"f": function}},
    )
    with pytest.raises(error):
        instance.exports.run()
    assert store.instances  # it goes on


def test_none_of_a_direct_host_function_is_zero(store, make):
    function = store.direct_host_function(FunctionType((I32,), (I32,)), lambda _: None)
    instance = make(
        """(module (import "env" "f" (func $f (param i32) (result i32)))
          (func (export "run") (result i32) (call $f (i32.const 7))))""",
        {"env": {"f": function}},
    )
    assert instance.exports.run() == 0


# -- Reactors ----------------------------------------------------------------------------------------------------------

REACTOR = """(module (global $order (mut i32) (i32.const 0)) (export "order" (global $order))
  (func $add (param i32) (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (local.get 0))))
  (func $start (call $add (i32.const 1))) (start $start)
  (func (export "_initialize") (call $add (i32.const 2))) {more})"""


def test_reactors_are_initialised_once_after_their_start_function(make):
    assert make(REACTOR.replace("{more}", "")).global_("order").value == 12


def test_commands_are_neither_initialised_nor_started(make):
    text = REACTOR.replace("{more}", '(func (export "_start") (call $add (i32.const 3)))')
    assert make(text).global_("order").value == 1


def test_an_initialisation_that_fails_is_reported_and_leaves_nothing(store, make, counts):
    with pytest.raises(Trap) as caught:
        make('(module (func (export "_initialize") unreachable))')
    assert caught.value.kind is TrapKind.UNREACHABLE
    assert [frame.function_name for frame in caught.value.backtrace] == ["_initialize"]
    assert not store.instances
    assert counts() == (0, 0, 0)


def test_an_export_of_that_name_and_another_type_is_left_alone(make):
    make('(module (func (export "_initialize") (param i32) unreachable))')
    make('(module (memory (export "_initialize") 1))')


# -- AssemblyScript ----------------------------------------------------------------------------------------------------


def as_string(text):
    content = text.encode("utf-16-le")
    return len(content).to_bytes(4, "little") + content


def as_data(text):
    return "".join(f"\\{byte:02x}" for byte in as_string(text))


SCRIPT = f"""(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))
  (import "env" "seed" (func $seed (result f64)))
  (import "env" "console.log" (func $log (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 96) "{as_data("Grüße 🦊")}") (data (i32.const 196) "{as_data("index.ts")}")
  (func (export "fail") (param i32 i32) (call $abort (local.get 0) (local.get 1) (i32.const 12) (i32.const 5)))
  (func (export "trace") (call $trace (i32.const 100) (i32.const 2) (f64.const 1) (f64.const 2.5) (f64.const 0)
    (f64.const 0) (f64.const 0)))
  (func (export "seed") (result f64) (call $seed))
  (func (export "log") (call $log (i32.const 200))))"""


def test_abort_tells_what_the_program_said(make):
    instance = make(SCRIPT, assembly_script_module().imports)
    with pytest.raises(AbortTrap) as caught:
        instance.exports.fail(100, 200)
    assert caught.value.message == "abort: Grüße 🦊 in index.ts:12:5"
    assert caught.value.kind is TrapKind.UNREACHABLE
    assert [frame.function_name for frame in caught.value.backtrace] == ["fail"]


@pytest.mark.parametrize("pointer", [0, 2, -4, 65534, 65536])
def test_abort_with_any_pointer_is_an_abort(make, pointer):
    instance = make(SCRIPT, assembly_script_module().imports)
    instance.memory("memory").write(65530, b"\xff" * 6)
    with pytest.raises(AbortTrap, match=r"abort: .* in \(unknown file\):12:5"):
        instance.exports.fail(pointer, 0)


def test_trace_console_and_seed(make):
    lines: list[str] = []
    instance = make(SCRIPT, assembly_script_module(lines.append).imports)
    instance.exports.trace()
    instance.exports.log()
    assert lines == ["trace: Grüße 🦊 1, 2.5", "index.ts"]
    assert instance.exports.seed() != instance.exports.seed()


# -- Emscripten --------------------------------------------------------------------------------------------------------

JUMPS = """(module
  (import "env" "invoke_iii" (func $invoke_iii (param i32 i32 i32) (result i32)))
  (import "env" "invoke_v" (func $invoke_v (param i32)))
  (import "env" "invoke_dj" (func $invoke_dj (param i32 i64) (result f64)))
  (import "env" "_emscripten_throw_longjmp" (func $jump))
  (table (export "__indirect_function_table") 8 funcref)
  (elem (i32.const 1) $add $jumps $traps $convert $exits)
  (global $stack (mut i32) (i32.const 1000)) (export "stack" (global $stack))
  (global $threw (mut i32) (i32.const 0)) (export "threw" (global $threw))
  (import "env" "exit" (func $exit))
  (func (export "emscripten_stack_get_current") (result i32) (global.get $stack))
  (func (export "_emscripten_stack_restore") (param i32) (global.set $stack (local.get 0)))
  (func (export "setThrew") (param i32 i32) (global.set $threw (local.get 0)))
  (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $jumps (global.set $stack (i32.const 10)) (call $jump))
  (func $traps unreachable)
  (func $exits (call $exit))
  (func $convert (param i64) (result f64) (f64.convert_i64_s (local.get 0)))
  (func (export "add") (param i32) (result i32) (call $invoke_iii (local.get 0) (i32.const 40) (i32.const 2)))
  (func (export "convert") (result f64) (call $invoke_dj (i32.const 4) (i64.const -7)))
  (func (export "call") (param i32) (call $invoke_v (local.get 0))))""".replace(
    '  (import "env" "exit" (func $exit))\n', ""
).replace("  (table (export", '  (import "env" "exit" (func $exit))\n  (table (export')


@pytest.fixture
def jumping(make):
    exits = HostModule("env")

    @exits.function(FunctionType((), ()))
    def exit():
        raise ProgramExit(3)

    return make(JUMPS, {"env": CombinedModule(EmscriptenModule(), exits)})


def test_invoke_calls_the_function_of_the_table(jumping):
    assert jumping.exports.add(1) == 42
    assert jumping.exports.convert() == -7.0
    assert jumping.global_("threw").value == 0


def test_a_jump_ends_at_invoke_which_puts_the_stack_back(jumping):
    jumping.exports.call(2)
    assert (jumping.global_("stack").value, jumping.global_("threw").value) == (1000, 1)


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (3, TrapKind.UNREACHABLE),
        (0, TrapKind.UNINITIALIZED_ELEMENT),
        (8, TrapKind.UNDEFINED_ELEMENT),
        (-1, TrapKind.UNDEFINED_ELEMENT),
        (1, TrapKind.INDIRECT_CALL_TYPE_MISMATCH),
    ],
)
def test_traps_are_no_jumps(jumping, index, kind):
    with pytest.raises(Trap) as caught:
        jumping.exports.call(index)
    assert caught.value.kind is kind
    assert jumping.global_("threw").value == 0


def test_an_exit_goes_through_invoke(jumping):
    with pytest.raises(ProgramExit) as caught:
        jumping.exports.call(5)
    assert caught.value.code == 3


def test_a_jump_to_nowhere_is_an_error(make):
    instance = make(
        """(module (import "env" "_emscripten_throw_longjmp" (func $jump)) (func (export "run") (call $jump)))""",
        {"env": EmscriptenModule()},
    )
    with pytest.raises(Exception, match="no setjmp"):
        instance.exports.run()
