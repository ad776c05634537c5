"""Shared memories: several instances run with one at the same time, any of them keeps it alive, growth is atomic."""

from __future__ import annotations

import struct

import pytest

from farcall.engine import (
    ClosedError,
    ExhaustionError,
    Limits,
    LinkError,
    MemoryType,
    RangeError,
    Store,
    StoreLimits,
    TerminatedError,
)
from tests.engine.guests import Background, wait_until, wasm

PAGE = 65536

MAKER = '(module (memory (export "m") 1 100 shared))'

USER = """(module (import "" "m" (memory 1 100 shared)) (export "again" (memory 0))
  (func (export "load") (param i32) (result i32) (i32.atomic.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "grow_by_one") (param i32) (result i32) (local $grown i32)
    (loop
      (if (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))
        (then
          (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))
          (local.set $grown (i32.add (local.get $grown) (i32.const 1)))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $grown))
  (func (export "spin") (loop (br 0)))
  (func (export "until") (param i32) (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get 0))))))
  (func (export "until_size") (param i32) (loop (br_if 0 (i32.lt_u (memory.size) (local.get 0)))))
  (func (export "until_reached") (param i32)
    (loop (br_if 0 (i32.eqz (i32.load offset=0x10000000 (local.get 0)))))))"""


def word(memory, offset: int) -> int:
    return int.from_bytes(memory.read(offset, 4), "little")


@pytest.fixture
def maker(make):
    return make(MAKER, name="maker")


@pytest.fixture
def users(make, maker):
    return [make(USER, {"": maker}) for _ in range(4)]


class TestLinking:
    def test_importers_see_each_others_stores_and_are_not_linked(self, maker, users):
        users[0].exports.store(8, -5)
        assert [user.exports.load(8) for user in users] == [-5] * 4
        assert maker.memory("m").read(8, 4) == b"\xfb\xff\xff\xff"
        assert len({user.engine.group for user in (maker, *users)}) == 5

    def test_an_importer_can_hand_it_on(self, make, users):
        last = make(USER, {("", "m"): users[0].memory("again")})
        last.exports.store(4, 9)
        assert users[1].exports.load(4) == 9
        assert last.engine.group is not users[0].engine.group

    def test_what_else_is_imported_links_as_ever(self, make, maker, users):
        linked = make(
            '(module (import "" "m" (memory 1 100 shared)) (import "u" "load" (func (param i32) (result i32))))',
            {"": maker, "u": users[0]},
        )
        assert linked.engine.group is users[0].engine.group
        assert linked.engine.group is not maker.engine.group

    @pytest.mark.parametrize(
        ("wanted", "provided"),
        [
            ("(memory 1 100)", "(memory 1 100 shared)"),
            ("(memory 1 100 shared)", "(memory 1 100)"),
            ("(memory 2 100 shared)", "(memory 1 100 shared)"),
            ("(memory 1 99 shared)", "(memory 1 100 shared)"),
        ],
    )
    def test_the_types_must_match(self, make, wanted, provided):
        other = make(f'(module (memory (export "m") {provided.removeprefix("(memory ")})')
        with pytest.raises(LinkError) as raised:
            make(f'(module (import "o" "m" {wanted}))', {"o": other})
        assert ("shared" in raised.value.wanted, "shared" in raised.value.found) == (
            "shared" in wanted,
            "shared" in provided,
        )

    def test_through_the_module_engine(self, make, maker, store):
        importer = make('(module (import "" "m" (memory 1 100 shared)))', {"": maker})
        importer.engine.resolve_imported_memory(make(MAKER).engine)
        maker.memory("m").write(0, b"old")
        assert importer.engine.memories[0].read(0, 3) == bytes(3)
        assert importer.engine.group is not maker.engine.group

    def test_of_the_embedder(self, make, store):
        memory = store.memory(MemoryType(Limits(1, 3), shared=True))
        users = [make(USER.replace("1 100", "1 3"), {"": {"m": memory}}) for _ in range(2)]
        users[0].exports.store(0, 3)
        assert (users[1].exports.load(0), word(memory, 0)) == (3, 3)
        with pytest.raises(ValueError, match="must have a maximum"):
            store.memory(MemoryType(Limits(1), shared=True))


class TestAtTheSameTime:
    def test_guests_wait_for_each_other_through_it(self, users):
        """Each waits for what another stores: taking turns, they would wait for ever."""
        first = Background(lambda: users[0].exports.until(0))
        second = Background(lambda: (users[1].exports.until(4), users[1].exports.store(0, 1)))
        users[2].exports.store(4, 1)
        second.value()
        first.value()

    def test_python_reads_writes_and_grows_while_guests_run(self, maker, users):
        memory = users[0].memory("again")
        invocation = users[0].function("spin").invocation(())
        spinning = Background(invocation.run)
        wait_until(lambda: users[0].engine.group.depth == 1)
        assert memory.read(0, 4) == bytes(4)
        memory.write(0, b"\7")
        memory[1:3] = b"ab"
        assert (memory[0], memory.grow(2), memory.pages, memory.size) == (7, 1, 3, 3 * PAGE)
        assert maker.memory("m")[0:3] == b"\7ab"
        assert spinning.running
        invocation.terminate("enough")
        with pytest.raises(TerminatedError):
            spinning.value()

    def test_python_stays_within_bounds(self, maker):
        memory = maker.memory("m")
        for offset, length in ((PAGE - 1, 2), (PAGE + 1, 0), (0, PAGE + 1), (-1, 1)):
            with pytest.raises(RangeError):
                memory.read(offset, length)
        with pytest.raises(RangeError):
            memory.write(PAGE - 1, b"ab")
        assert memory.read(PAGE - 4, 4) == bytes(4)

    @pytest.mark.parametrize(("function", "argument"), [("until_size", 4098), ("until_reached", 0)])
    def test_a_loop_sees_what_others_do(self, make, function, argument):
        """The size is read anew in every turn, also where an access is compared with it."""
        maker = make('(module (memory (export "m") 4097 5000 shared))')
        waiter = make(USER.replace("1 100", "1 5000"), {"": maker})
        waiting = Background(lambda: waiter.function(function)(argument))
        wait_until(lambda: waiter.engine.group.depth == 1)
        maker.memory("m").write(0x10000000, b"\1")
        maker.memory("m").grow(1)
        waiting.value()


class TestGrowth:
    def test_from_several_threads_no_page_is_lost_or_given_twice(self, maker, users, engine):
        before = engine.statistics().memory_bytes
        threads = [Background(lambda user=user: user.exports.grow_by_one(40)) for user in users]
        grown = [thread.value() for thread in threads]
        assert sum(grown) == 99
        assert maker.memory("m").pages == 100
        assert engine.statistics().memory_bytes - before == 99 * PAGE
        content = maker.memory("m").read(0, 100 * PAGE)
        assert set(content[PAGE - 1 :: PAGE]) <= {0, 1}

    def test_former_sizes_are_all_different(self, users):
        threads = [Background(lambda user=user: [user.exports.grow(1) for _ in range(20)]) for user in users]
        former = sorted(size for thread in threads for size in thread.value())
        assert former == list(range(1, 81))

    def test_by_guests_and_python_together(self, maker, users):
        memory = maker.memory("m")
        guest = Background(lambda: users[0].exports.grow_by_one(30))
        host = Background(lambda: [memory.grow(1) for _ in range(30)])
        assert (guest.value(), len(set(host.value())), memory.pages) == (30, 30, 61)

    def test_a_budget_holds_from_several_threads(self, engine):
        limits = StoreLimits(total_memory_bytes=30 * PAGE)
        with Store(engine, limits=limits) as store:
            maker = store.instantiate(engine.load_module(wasm(MAKER)))
            module = engine.load_module(wasm(USER))
            users = [store.instantiate(module, {"": maker}) for _ in range(4)]
            threads = [Background(lambda user=user: user.exports.grow_by_one(40)) for user in users]
            assert sum(thread.value() for thread in threads) == 29
            assert store.memory_budget.used == 30 * PAGE == maker.memory("m").size
            with pytest.raises(ExhaustionError, match="cannot grow by 1 pages"):
                maker.memory("m").grow(1)
        assert store.memory_budget.used == 0

    def test_to_the_limit_and_no_further(self, maker, users):
        assert users[0].exports.grow(100) == -1
        assert users[0].exports.grow(-1) == -1
        assert (users[0].exports.grow(99), users[0].exports.grow(0), users[1].exports.grow(1)) == (1, 100, -1)
        for pages in (1, -1):
            with pytest.raises(ExhaustionError, match="its limit is"):
                maker.memory("m").grow(pages)
        assert users[3].exports.size() == 100


class TestLifetime:
    def test_it_lives_until_the_last_user_is_gone(self, make, counts, engine):
        maker = make(MAKER)
        first, second = make(USER, {"": maker}), make(USER, {"": maker})
        first.exports.store(0, 7)
        maker.close()
        assert counts() == (2, 1, 2)
        assert second.exports.load(0) == 7
        first.close()
        assert counts() == (1, 1, 1)
        assert (second.exports.load(0), second.memory("again").read(0, 1)) == (7, b"\7")
        second.close()
        assert counts() == (0, 0, 0)
        assert engine.statistics().memory_bytes == 0

    def test_in_any_order_of_closing(self, make, counts):
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
            maker = make(MAKER)
            instances = [maker, make(USER, {"": maker}), make(USER, {"": maker})]
            for position, index in enumerate(order):
                assert counts()[1] == 1
                instances[index].close()
                if position < 2:
                    open_one = next(each for each in instances if not each.closed)
                    name = "m" if open_one is maker else "again"
                    assert open_one.memory(name).read(0, 4) == bytes(4)
            assert counts() == (0, 0, 0)

    def test_a_view_of_a_closed_instance_is_closed_while_others_go_on(self, maker, users):
        memory = maker.memory("m")
        other = users[0].memory("again")
        maker.close()
        for access in (lambda: memory.read(0, 1), lambda: memory.write(0, b"a"), lambda: memory.grow(1)):
            with pytest.raises(ClosedError):
                access()
        assert other.read(0, 1) == b"\0"
        with pytest.raises(ClosedError):
            users[0].store.instantiate(users[0].module, {("", "m"): memory})

    def test_an_instantiation_that_fails_gives_it_back(self, make, counts):
        maker = make(MAKER)
        with pytest.raises(Exception, match="out of bounds"):
            make('(module (import "" "m" (memory 1 100 shared)) (data (i32.const 65536) "x"))', {"": maker})
        assert counts() == (1, 1, 1)
        maker.close()
        assert counts() == (0, 0, 0)

    def test_closing_the_store_stops_all_its_guests(self, engine):
        store = Store(engine)
        maker = store.instantiate(engine.load_module(wasm(MAKER)))
        module = engine.load_module(wasm(USER))
        users = [store.instantiate(module, {"": maker}) for _ in range(3)]
        spinning = [Background(lambda user=user: user.function("spin").call(())) for user in users]
        wait_until(lambda: all(user.engine.group.depth for user in users))
        store.close()
        for thread in spinning:
            with pytest.raises(TerminatedError, match="store is being closed"):
                thread.value()
        assert engine.statistics().memories == 0

    def test_instances_come_and_go_while_others_use_it(self, make, engine, store, counts):
        maker = make(MAKER)
        module = engine.load_module(wasm(USER))
        steady = store.instantiate(module, {"": maker})

        def come_and_go() -> None:
            for number in range(50):
                with store.instantiate(module, {"": maker}) as user:
                    user.exports.store(64, number)
                    user.memory("again").read(64, 4)

        invocation = steady.function("spin").invocation(())
        spinning = Background(invocation.run)
        for thread in [Background(come_and_go) for _ in range(4)]:
            thread.value()
        assert spinning.running
        invocation.terminate("done")
        spinning.join()
        assert counts() == (2, 1, 2)
        assert struct.unpack("<I", maker.memory("m").read(64, 4)) == (49,)
