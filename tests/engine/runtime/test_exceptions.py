"""Exceptions: who catches them, what is right afterwards, and how they reach Python and come from it."""

from __future__ import annotations

import pytest

from farcall.engine import (
    EXTERNREF,
    F64,
    FUNCREF,
    I32,
    I64,
    ArgumentError,
    ExhaustionError,
    FunctionType,
    LinkError,
    Store,
    TagType,
    TerminatedError,
    Trap,
    TrapKind,
    WasmException,
)
from tests.engine.guests import Background, wait_until, wasm

THROWER = """(module $thrower
  (tag $e (export "e") (param i32 f64)) (tag $other (export "o"))
  (func $inner (param i32) (if (local.get 0) (then (throw $e (local.get 0) (f64.const 2.5)))))
  (func (export "throw") (param i32) (call $inner (local.get 0)))
  (func (export "other") (throw $other)))"""


def test_an_uncaught_one_has_tag_values_and_backtrace(make):
    instance = make(THROWER)
    for _ in range(3):
        with pytest.raises(WasmException, match=r"uncaught exception: tag e \(i32 7, f64 2.5\)") as raised:
            instance.exports.throw(7)
        assert raised.value.tag == instance.tag("e") != instance.tag("o")
        assert raised.value.values == (7, 2.5)
        assert [frame.function_name for frame in raised.value.backtrace] == ["inner", "throw"]
        assert instance.exports.throw(0) is None
    with pytest.raises(WasmException) as raised:
        instance.exports["other"]()
    assert (raised.value.tag, raised.value.values) == (instance.tag("o"), ())


CATCHER = """(module
  (import "thrower" "e" (tag $e (param i32 f64)))
  (import "thrower" "throw" (func $throw (param i32)))
  (import "thrower" "other" (func $other))
  (func (export "catch") (param i32) (result i32 f64)
    (block $caught (result i32 f64)
      (try_table (catch $e $caught) (call $throw (local.get 0)))
      (i32.const -1) (f64.const -1)))
  (func (export "miss") (block $caught (result i32 f64)
      (try_table (catch $e $caught) (call $other)) (return)) (drop) (drop)))"""


def test_one_crosses_instances_by_its_tag(make):
    thrower = make(THROWER)
    catcher = make(CATCHER, {"thrower": thrower})
    assert catcher.exports.catch(5) == (5, 2.5)
    assert catcher.exports.catch(0) == (-1, -1.0)
    with pytest.raises(WasmException) as raised:
        catcher.exports.miss()
    assert raised.value.tag == thrower.tag("o")
    assert [frame.module_name for frame in raised.value.backtrace] == ["thrower", None]


def test_a_tag_of_another_instance_of_the_module_is_another_tag(make):
    thrower, stranger = make(THROWER), make(THROWER)
    functions = {
        ("thrower", "throw"): thrower.exports["throw"],
        ("thrower", "other"): thrower.exports["other"],
    }
    catcher = make(CATCHER, {**functions, ("thrower", "e"): stranger.tag("e")})
    with pytest.raises(WasmException) as raised:
        catcher.exports.catch(5)
    assert raised.value.tag == thrower.tag("e")


def test_tags_are_linked_by_type(make, store, engine):
    module = '(module (import "env" "e" (tag (param i32))))'
    assert make(module, {("env", "e"): store.tag(TagType(FunctionType((I32,), ())))})
    for wrong in (
        store.tag(TagType(FunctionType((I64,), ()))),
        store.host_function(FunctionType((), ()), int),
    ):
        with pytest.raises(LinkError, match=r"incompatible import type.*wanted tag \(i32\)"):
            make(module, {("env", "e"): wrong})
    with Store(engine) as other, pytest.raises(LinkError, match="another store"):
        make(module, {("env", "e"): other.tag(TagType(FunctionType((I32,), ())))})


COUNTED = """(module (tag $e (param i64))
  (func $throw (param i64) (throw $e (local.get 0)))
  (func (export "sum") (param $n i64) (result i64) (local $sum i64) (local $copy i64)
    (loop $next
      (block $caught (result i64)
        (try_table (catch $e $caught)
          (local.set $copy (i64.add (local.get $sum) (i64.const 1)))
          (call $throw (local.get $n)))
        (unreachable))
      (local.set $sum (i64.add (local.get $sum)))
      (if (i64.ne (local.get $copy) (i64.sub (i64.add (local.get $sum) (i64.const 1)) (local.get $n)))
        (then unreachable))
      (br_if $next (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
    (local.get $sum))
  (func (export "leave") (param $n i64) (result i64) (local $sum i64)
    (block $out (loop $next
      (block $caught (result i64)
        (try_table (catch $e $caught)
          (local.set $sum (i64.add (local.get $sum) (i64.const 1)))
          (br_if $out (i64.eqz (local.tee $n (i64.sub (local.get $n) (i64.const 1)))))
          (br_table $next $next 3 (i32.wrap_i64 (i64.and (local.get $n) (i64.const 1)))))
        (unreachable))
      (unreachable)))
    (call $uncaught (local.get $sum)))
  (func $uncaught (param i64) (result i64) (throw $e (local.get 0))))"""


def test_loops_that_catch_and_that_leave_do_not_grow_the_stack(make):
    instance = make(COUNTED)
    count = 200_000
    assert instance.exports.sum(count) == count * (count + 1) // 2
    # By the branches all handlers are gone: nothing catches what is thrown then.
    with pytest.raises(WasmException) as raised:
        instance.exports.leave(1_000_000)
    assert raised.value.values == (1_000_000,)


def test_every_local_and_operand_is_right_where_it_is_caught(make):
    # Many values live over the try_table, in registers and in memory, before and after, changed inside or not.
    count = 24
    parameters = " ".join(f"(param $p{n} i64)" for n in range(count))
    changes = " ".join(
        f"(local.set $p{n} (i64.mul (local.get $p{n}) (i64.const 3)))" for n in range(0, count, 2)
    )
    later = " ".join(
        f"(local.set $p{n} (i64.mul (local.get $p{n}) (i64.const 5)))" for n in range(0, count, 2)
    )
    operands = " ".join(f"(i64.mul (local.get $p{n}) (i64.const {n + 7}))" for n in range(count))
    total = "".join("(i64.add)" for _ in range(count - 1))
    sums = " ".join(f"(local.get $p{n})" for n in range(count)) + total
    clobber = " ".join(f"(local.set {n} (i64.const {n}))" for n in range(count))
    instance = make(f"""(module (tag $e)
      (func $throw (param {"i64 " * count}) (result i64) {clobber} (throw $e))
      (func (export "go") {parameters} (result i64 i64)
        {operands}
        (block $caught
          (try_table (catch $e $caught)
            {changes}
            (call $throw {" ".join(f"(local.get $p{n})" for n in range(count))})
            (drop) {later})
          (unreachable))
        {total} {sums}))""")
    values = [n * n + 1 for n in range(count)]
    expected = sum(value * (n + 7) for n, value in enumerate(values))
    after = sum(value * (1 if n % 2 else 3) for n, value in enumerate(values))
    assert instance.exports.go(*values) == (expected, after)


def test_the_end_of_a_block_inside_keeps_the_handler(make):
    # Found by comparison with wasmtime: the end of a block that is branched to took all handlers down.
    instance = make("""(module (tag $e (param i64))
      (func (export "go") (param i64) (result i64)
        (block $outer (result i64)
          (try_table (result i64) (catch $e $outer)
            (drop (block $inner (result i64)
              (try_table (result i64) (catch $e $inner) (br_if $inner (i64.const 4) (i32.const 0)))))
            (if (i64.eqz (local.get 0)) (then (nop)) (else (throw $e (local.get 0))))
            (i64.const 3)))))""")
    assert [instance.exports.go(value) for value in (0, 42)] == [3, 42]


def test_traps_and_requests_to_stop_are_not_caught(make):
    instance = make("""(module (tag $e) (memory 1)
      (func $trap unreachable) (func $loop (loop (br 0)))
      (func (export "trap") (block (try_table (catch_all 0) (call $trap)) (return)))
      (func (export "fault") (block (try_table (catch_all 0) (drop (i32.load (i32.const -4)))) (return)))
      (func (export "deep") (block (try_table (catch_all 0) (call 4)) (return)))
      (func (export "spin") (block (try_table (catch_all 0) (call $loop)) (return)))
      (func (export "throw") (throw $e))
      (func (export "probe") (result i32) (block (try_table (catch_all 0) (throw $e)) unreachable) (i32.const 3)))""")
    kinds = {
        "trap": TrapKind.UNREACHABLE,
        "fault": TrapKind.OUT_OF_BOUNDS_MEMORY_ACCESS,
        "deep": TrapKind.CALL_STACK_EXHAUSTED,
    }
    for name, kind in kinds.items():
        with pytest.raises(Trap) as raised:
            instance.exports[name]()
        assert raised.value.kind is kind
        # No handler of the call that ended is left.
        with pytest.raises(WasmException):
            instance.exports.throw()
        assert instance.exports.probe() == 3
    invocation = instance.exports.spin.invocation(())
    running = Background(invocation.run)
    wait_until(lambda: instance.engine.group.targets)
    invocation.terminate("enough")
    with pytest.raises(TerminatedError):
        running.value()
    assert instance.exports.probe() == 3


def test_a_loop_of_throws_can_be_stopped(make):
    instance = make("""(module (tag $e)
      (func (export "go") (loop (block (try_table (catch $e 0) (throw $e))) (br 0)))
      (func (export "direct") (loop (try_table (catch $e 0) (throw $e)))))""")
    for name in ("go", "direct"):
        invocation = instance.exports[name].invocation(())
        running = Background(invocation.run)
        wait_until(lambda: instance.engine.group.targets)
        invocation.terminate("enough")
        with pytest.raises(TerminatedError):
            running.value()


def test_a_null_reference_cannot_be_thrown(make):
    instance = make('(module (func (export "go") (throw_ref (ref.null exn))))')
    with pytest.raises(Trap) as raised:
        instance.exports.go()
    assert raised.value.kind is TrapKind.NULL_EXCEPTION_REFERENCE


# -- Host functions -------------------------------------------------------------------------------------------------

HOSTED = """(module (import "env" "e" (tag $e (param i32))) (import "env" "f" (func $f (param i32) (result i32)))
  (func (export "plain") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block (result i32)
      (try_table (result i32) (catch $e 0) (call $f (local.get 0)))))
  (func (export "all") (param i32) (result i32)
    (block (try_table (result i32) (catch_all 0) (call $f (local.get 0))) (return)) (i32.const -9)))"""


@pytest.fixture
def hosted(make, store):
    tag = store.tag(TagType(FunctionType((I32,), ())), "trouble")

    def build(function):
        host_function = store.host_function(FunctionType((I32,), (I32,)), function)
        return make(HOSTED, {"env": {"e": tag, "f": host_function}}), tag

    return build


def test_host_functions_throw(hosted):
    def function(value):
        if value > 9:
            raise WasmException(tag, [value + 1])
        return value

    instance, tag = hosted(function)
    assert [instance.exports.catch(value) for value in (1, 10, 2, 20)] == [1, 11, 2, 21]
    assert [instance.exports["all"](value) for value in (1, 10)] == [1, -9]
    with pytest.raises(WasmException, match=r"tag trouble \(i32 11\)") as raised:
        instance.exports.plain(10)
    assert (raised.value.tag, raised.value.values) == (tag, (11,))
    assert [frame.function_name for frame in raised.value.backtrace] == ["plain"]


def test_other_python_exceptions_are_not_caught(hosted):
    instance, _ = hosted(lambda _: 1 // 0)
    for name in ("plain", "catch", "all"):
        with pytest.raises(ZeroDivisionError):
            instance.exports[name](1)


def test_one_goes_through_host_functions_to_the_guest_that_catches(hosted):
    def function(value):
        if value == 0:
            raise WasmException(tag, [77])
        return instance.exports.plain(value - 1)

    instance, tag = hosted(function)
    assert instance.exports.catch(5) == 77
    with pytest.raises(WasmException) as raised:
        instance.exports.plain(5)
    assert [frame.function_name for frame in raised.value.backtrace] == ["plain"] * 6


def test_a_host_function_may_catch_what_guests_throw_and_go_on(hosted):
    def function(value):
        if value > 9:
            raise WasmException(tag, [value])
        try:
            return instance.exports.plain(10)
        except WasmException as error:
            return error.values[0] + value

    instance, tag = hosted(function)
    assert [instance.exports[name](3) for name in ("plain", "catch", "all")] == [13, 13, 13]


def test_nested_entries_do_not_see_the_handlers_outside_of_them(hosted):
    seen = []

    def function(value):
        if value == 2:
            raise WasmException(tag, [5])
        try:
            return instance.exports.plain(2)
        except WasmException as error:
            seen.append(error)
            raise

    instance, tag = hosted(function)
    assert instance.exports.catch(1) == 5  # not by a jump over the Python function
    assert len(seen) == 1


def test_values_are_checked(store):
    tag = store.tag(TagType(FunctionType((I32, F64), ())))
    for wrong in ((), (1,), ("x", 1.0), (2**31, 1.0)):
        with pytest.raises(ArgumentError):
            WasmException(tag, wrong)


def test_a_tag_of_another_store_is_a_plain_exception_to_the_guest(hosted, engine):
    with Store(engine) as other:
        strange = WasmException(other.tag(TagType(FunctionType((I32,), ()))), [1])

        def function(_):
            raise strange

        instance, _ = hosted(function)
        with pytest.raises(WasmException) as raised:
            instance.exports["all"](1)
        assert raised.value is strange


def test_references_among_the_values(make, store):
    tag = store.tag(TagType(FunctionType((FUNCREF, EXTERNREF), ())))
    thing = object()

    def function():
        raise WasmException(tag, [instance.exports.answer, thing])

    instance = make(
        """(module (import "env" "e" (tag $e (param funcref externref))) (import "env" "f" (func $f))
          (type $t (func (result i32))) (table 1 funcref)
          (func (export "answer") (type $t) (i32.const 42))
          (func (export "go") (result i32 externref) (local externref funcref)
            (block (result funcref externref) (try_table (catch $e 0) (call $f)) unreachable)
            (local.set 0) (local.set 1) (table.set (i32.const 0) (local.get 1))
            (call_indirect (type $t) (i32.const 0)) (local.get 0)))""",
        {"env": {"e": tag, "f": store.host_function(FunctionType((), ()), function)}},
    )
    assert instance.exports.go() == (42, thing)


# -- References to exceptions, and memory ---------------------------------------------------------------------------

KEEPER = """(module
  (tag $e (export "e") (param i64)) (tag $chain (param exnref i64))
  (table $table (export "table") 100 exnref) (global $kept (mut exnref) (ref.null exn))
  (func $make (param i64) (result exnref)
    (block $caught (result i64 exnref)
      (try_table (catch_ref $e $caught) (throw $e (local.get 0))) unreachable)
    (return))
  (func $value (export "value") (param exnref) (result i64)
    (block $caught (result i64)
      (try_table (catch $e $caught) (throw_ref (local.get 0))) unreachable))
  (func $garbage (export "garbage") (param $n i64) (result i64) (local $sum i64)
    (loop
      (local.set $sum (i64.add (local.get $sum) (call $value (call $make (local.get $n)))))
      (br_if 0 (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
    (local.get $sum))
  (func (export "caught") (param $n i64)
    (loop
      (block $caught (result i64) (try_table (catch $e $caught) (throw $e (local.get $n))) unreachable) (drop)
      (br_if 0 (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0)))))
  (func (export "fill") (param $n i32)
    (loop (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (table.set (local.get $n) (call $make (i64.extend_i32_u (local.get $n))))
      (br_if 0 (local.get $n))))
  (func (export "at") (param i32) (result i64) (call $value (table.get (local.get 0))))
  (func (export "forget") (global.set $kept (ref.null exn)))
  (func (export "keep") (param i64) (global.set $kept (call $make (local.get 0))))
  (func (export "kept") (result i64) (call $value (global.get $kept)))
  (func $hold (export "hold") (param $n i64) (param $garbage i64) (result i64) (local $mine exnref)
    (local.set $mine (call $make (local.get $n)))
    (if (i64.ne (local.get $n) (i64.const 0))
      (then (drop (call $hold (i64.sub (local.get $n) (i64.const 1)) (local.get $garbage))))
      (else (drop (call $garbage (local.get $garbage)))))
    (call $value (local.get $mine)))
  (func (export "link") (param $n i64)
    (loop
      (block $caught (result exnref i64 exnref)
        (try_table (catch_ref $chain $caught) (throw $chain (global.get $kept) (local.get $n))) unreachable)
      (global.set $kept) (drop) (drop)
      (br_if 0 (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))))"""


def arena_of(instance):
    return instance.engine.group.exceptions


def test_caught_ones_are_freed_at_once(make):
    instance = make(KEEPER)
    instance.exports.caught(100_000)
    assert arena_of(instance).used == 0


def test_garbage_is_collected(make):
    instance = make(KEEPER)
    count = 100_000
    assert instance.exports.garbage(count) == count * (count + 1) // 2
    assert arena_of(instance).used <= 512 * 1024


def test_what_tables_globals_and_frames_hold_is_kept(make):
    instance = make(KEEPER)
    instance.exports.fill(100)
    instance.exports.keep(1234)
    assert instance.exports.hold(50, 20_000) == 50
    assert [instance.exports.at(index) for index in range(100)] == list(range(100))
    assert instance.exports.kept() == 1234


def test_exceptions_that_hold_exceptions_are_kept_and_bounded(make):
    instance = make(KEEPER)
    instance.exports.keep(5)
    instance.exports.link(20_000)
    instance.exports.garbage(20_000)
    assert arena_of(instance).used > 20_000 * 64
    with pytest.raises(ExhaustionError, match="bytes of exceptions"):
        instance.exports.link(400_000)
    instance.exports.forget()
    instance.exports.garbage(100_000)
    assert arena_of(instance).used < 1 << 20


def test_references_reach_python_and_come_back(make, store):
    instance = make(KEEPER)
    instance.exports.fill(3)
    error = instance.table("table").get(2)
    assert isinstance(error, WasmException)
    assert (error.tag, error.values) == (instance.tag("e"), (2,))
    assert instance.exports.value(error) == 2
    assert instance.exports.value(WasmException(instance.tag("e"), [99])) == 99
    with pytest.raises(ArgumentError):
        instance.exports.value("no exception")
    assert instance.table("table").get(50) is None


def test_arenas_are_merged_when_instances_are_linked(make, store):
    first, second = make(KEEPER), make(KEEPER)
    first.exports.fill(10)
    second.exports.fill(20)
    make(
        '(module (import "a" "e" (tag (param i64))) (import "b" "e" (tag (param i64))))',
        {"a": first, "b": second},
    )
    assert arena_of(first) is arena_of(second)
    first.exports.garbage(20_000)
    assert [first.exports.at(index) for index in range(10)] == list(range(10))
    assert [second.exports.at(index) for index in range(20)] == list(range(20))


# -- Listeners and tail calls ---------------------------------------------------------------------------------------


class Listener:
    def __init__(self) -> None:
        self.log: list = []

    def before(self, function, arguments) -> None:
        self.log.append(("before", function.name))

    def after(self, function, results) -> None:
        self.log.append(("after", function.name))

    def abort(self, function, error) -> None:
        self.log.append(("abort", function.name, type(error).__name__))


LISTENED = """(module (tag $e (param i32))
  (func $throw (throw $e (i32.const 1)))
  (func $middle (call $throw))
  (func $next)
  (func $catch (export "go")
    (block (result i32) (try_table (catch $e 0) (call $middle)) unreachable) (drop) (call $next))
  (func (export "uncaught") (call $middle)))"""


def test_listeners_are_told_of_the_calls_that_an_exception_ends(engine, store):
    listener = Listener()
    module = engine.load_module(wasm(LISTENED))
    instance = store.instantiate(engine.compile_module(module, [listener]))
    instance.exports.go()
    assert listener.log == [
        ("before", "catch"),
        ("before", "middle"),
        ("before", "throw"),
        ("abort", "throw", "WasmException"),
        ("abort", "middle", "WasmException"),
        ("before", "next"),
        ("after", "next"),
        ("after", "catch"),
    ]
    listener.log.clear()
    with pytest.raises(WasmException):
        instance.exports.uncaught()
    assert listener.log[3:] == [
        ("abort", "throw", "WasmException"),
        ("abort", "middle", "WasmException"),
        ("abort", "uncaught", "WasmException"),
    ]


def test_tail_calls_out_of_handlers(make):
    instance = make("""(module (tag $e (param i64))
      (func $count (export "go") (param $n i64) (result i64)
        (block $caught (result i64)
          (try_table (result i64) (catch $e $caught)
            (if (i64.eqz (local.get $n)) (then (throw $e (i64.const 42))))
            (return_call $count (i64.sub (local.get $n) (i64.const 1))))))
      (func $throw (result i64) (throw $e (i64.const 1)))
      (func (export "uncaught") (result i64)
        (block $caught (result i64) (try_table (result i64) (catch $e $caught) (return_call $throw)))))""")
    assert instance.exports.go(1_000_000) == 42
    with pytest.raises(WasmException):
        instance.exports.uncaught()


def test_unoptimised_code_catches_too(make):
    divisions = " ".join("(drop (i32.div_s (local.get 0) (local.get 0)))" for _ in range(1100))
    instance = make(f"""(module (tag $e (param i32))
      (func $throw (param i32) (throw $e (local.get 0)))
      (func (export "go") (param i32) (result i32) (local i32) {divisions}
        (local.set 1 (i32.const 5))
        (block $caught (result i32)
          (try_table (catch $e $caught) (local.set 1 (i32.const 100)) (call $throw (local.get 0)))
          unreachable)
        (i32.add (local.get 1))))""")
    assert instance.exports.go(7) == 107


def test_vectors_in_exceptions_and_in_tail_calls(make):
    instance = make("""(module (tag $e (export "e") (param i32 v128 i64))
      (type $t (func (param i64 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128) (result v128 v128 i64)))
      (func $throw (param v128) (throw $e (i32.const 1) (local.get 0) (i64.const 2)))
      (func (export "throw") (param v128) (call $throw (local.get 0)))
      (func (export "catch") (param v128) (result v128)
        (block $caught (result i32 v128 i64) (try_table (catch $e $caught) (call $throw (local.get 0))) unreachable)
        (drop) (local.set 0) (drop) (local.get 0))
      (func $f (export "tail") (type $t)
        (if (i64.eqz (local.get 0)) (then (return (local.get 9) (local.get 10) (i64.const 5))))
        (return_call $f (i64.sub (local.get 0) (i64.const 1)) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 1))))""")
    vectors = [bytes(range(first, first + 16)) for first in range(10)]
    with pytest.raises(WasmException) as raised:
        instance.exports.throw(vectors[3])
    assert raised.value.values == (1, vectors[3], 2)
    assert instance.exports.catch(vectors[4]) == vectors[4]
    assert instance.exports.tail(13, *vectors) == (vectors[(8 + 13) % 10], vectors[(9 + 13) % 10], 5)
