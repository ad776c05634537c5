"""The collector: what can be reached stays, the rest goes, and a guest never has more than it may."""

from __future__ import annotations

import ctypes
import gc
import itertools

import pytest

from farcall.engine import (
    ANYREF,
    ArrayReference,
    ClosedError,
    Engine,
    ExhaustionError,
    FunctionType,
    GlobalType,
    Limits,
    Store,
    StoreLimits,
    StructReference,
    TableType,
    Trap,
)
from farcall.engine.abi import objects as abi
from farcall.engine.runtime import heap as heaps
from farcall.engine.runtime.native.address_space import write_words
from tests.engine.guests import wasm

LISTS = """(module
  (type $node (struct (field $next (mut (ref null $node))) (field $value i32)))
  (type $nodes (array (mut (ref null $node))))
  (global $kept (export "kept") (mut (ref null $node)) (ref.null $node))
  (table $table (export "table") 4 (ref null $node))
  (func (export "allocate") (param $count i32)
    (loop $again
      (drop (struct.new $node (ref.null $node) (local.get $count)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  (func $list (export "list") (param $count i32) (result (ref null $node)) (local $list (ref null $node))
    (loop $again
      (local.set $list (struct.new $node (local.get $list) (local.get $count)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $list))
  (func (export "keep") (param i32) (global.set $kept (call $list (local.get 0))))
  (func (export "keep_in_table") (param i32) (table.set $table (i32.const 2) (call $list (local.get 0))))
  (func (export "table_sum") (result i64) (call $sum (table.get $table (i32.const 2))))
  (func (export "kept_sum") (result i64) (call $sum (global.get $kept)))
  (func $sum (export "sum") (param $list (ref null $node)) (result i64) (local $sum i64)
    (block $end (loop $again
      (br_if $end (ref.is_null (local.get $list)))
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_s (struct.get $node $value (local.get $list)))))
      (local.set $list (struct.get $node $next (local.get $list)))
      (br $again)))
    (local.get $sum))
  (func (export "cycle") (param $count i32) (local $first (ref null $node)) (local $last (ref null $node))
    (local.set $first (struct.new $node (ref.null $node) (i32.const 0)))
    (local.set $last (struct.new $node (local.get $first) (local.get $count)))
    (struct.set $node $next (local.get $first) (local.get $last)))
  (func (export "only_on_the_stack") (param $count i32) (result i64) (local $list (ref null $node))
    (local.set $list (call $list (i32.const 100)))
    (loop $again
      (drop (struct.new $node (ref.null $node) (local.get $count)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (call $sum (local.get $list)))
  (func (export "fill_array") (param $length i32) (result i64) (local $array (ref $nodes)) (local $index i32)
    (local $sum i64)
    (local.set $array (array.new_default $nodes (local.get $length)))
    (loop $again
      (array.set $nodes (local.get $array) (local.get $index) (call $list (i32.const 3)))
      (br_if $again (i32.lt_u (local.tee $index (i32.add (local.get $index) (i32.const 1))) (local.get $length))))
    (local.set $index (i32.const 0))
    (loop $again
      (local.set $sum (i64.add (local.get $sum)
        (call $sum (array.get $nodes (local.get $array) (local.get $index)))))
      (br_if $again (i32.lt_u (local.tee $index (i32.add (local.get $index) (i32.const 1))) (local.get $length))))
    (local.get $sum))
  (func (export "large") (param $length i32) (param $count i32)
    (loop $again
      (drop (array.new_default $nodes (local.get $length)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"""


def heap_of(instance) -> heaps.Heap:
    heap = instance.engine.group.heap
    assert heap is not None
    return heap


@pytest.fixture
def every_allocation_collects(monkeypatch):
    """Blocks have one cell, and whenever there is none left, all that cannot be reached is collected."""
    make_room = heaps.Heap.make_room

    def collect_first(self, cell_class, held=()):
        self.collect(held)
        self._blocks.drop_spare()
        if not self._blocks.free[cell_class]:
            make_room(self, cell_class, held)

    def one_cell(self, blocks, cell_class):
        for block, following in itertools.pairwise([*blocks, 0]):
            write_words(block, [self.record, following, abi.CELL_SIZES[cell_class], 1, 0])
        self._blocks.small[cell_class] += blocks
        place = self.record + abi.HEAP_CLASS_SIZE * cell_class
        write_words(place, [0, 0, blocks[0], blocks[0] + abi.BLOCK_FIRST])

    monkeypatch.setattr(heaps.Heap, "make_room", collect_first)
    monkeypatch.setattr(heaps.Heap, "_open", one_cell)


def total(count: int) -> int:
    return count * (count + 1) // 2


def test_a_guest_that_allocates_a_thousand_times_what_it_keeps_runs_in_bounded_memory(engine):
    with Store(engine, limits=StoreLimits(total_memory_bytes=2 << 20)) as store:
        lists = store.instantiate(engine.load_module(wasm(LISTS))).exports
        lists.keep(10_000)  # 320 kB
        for _ in range(10):
            lists.allocate(1_000_000)  # 32 MB each
        assert lists.kept_sum() == total(10_000)
        assert store.memory_budget.used <= 2 << 20


def test_more_than_the_budget_is_an_exhaustion_and_the_guest_stays_usable(engine):
    with Store(engine, limits=StoreLimits(total_memory_bytes=1 << 20)) as store:
        lists = store.instantiate(engine.load_module(wasm(LISTS))).exports
        lists.keep(1000)
        with pytest.raises(ExhaustionError, match="bytes of memory are left for guests"):
            lists.keep(1_000_000)
        with pytest.raises(ExhaustionError, match="bytes of memory are left for guests"):
            lists.large(200_000, 1)
        with pytest.raises(ExhaustionError, match="over the limit of 1073741824 bytes"):
            lists.large(-1, 1)
        assert lists.kept_sum() == total(1000)
        lists.allocate(100_000)
        assert lists.kept_sum() == total(1000)


def test_large_objects_are_collected(make):
    instance = make(LISTS)
    instance.exports.large(100_000, 200)  # 800 kB each
    assert heap_of(instance).bytes < 20 << 20
    assert heap_of(instance).collections > 1


def test_a_list_of_a_million_is_marked_without_recursion(make):
    instance = make(LISTS)
    instance.exports.keep(1_000_000)
    heap_of(instance).collect()
    assert instance.exports.kept_sum() == total(1_000_000)


def test_an_array_of_a_hundred_thousand_lists_is_marked(make):
    instance = make(LISTS)
    assert instance.exports.fill_array(100_000) == 600_000


def test_cycles_that_nothing_reaches_are_collected(make):
    instance = make(LISTS)
    for _ in range(1000):
        instance.exports.cycle(1)
    heap = heap_of(instance)
    heap.collect()
    heap._blocks.drop_spare()
    assert heap.bytes == 0


@pytest.mark.usefixtures("every_allocation_collects")
class TestCollectionAtEveryAllocation:
    """What the guest still has is found, wherever it is."""

    def test_in_registers_and_on_the_stack(self, make):
        assert make(LISTS).exports.only_on_the_stack(50) == total(100)

    def test_in_a_global(self, make):
        exports = make(LISTS).exports
        exports.keep(50)
        exports.allocate(20)
        assert exports.kept_sum() == total(50)

    def test_in_a_table(self, make):
        exports = make(LISTS).exports
        exports.keep_in_table(50)
        exports.allocate(20)
        assert exports.table_sum() == total(50)

    def test_in_an_array_that_only_a_loop_has(self, make):
        assert make(LISTS).exports.fill_array(40) == 40 * 6

    def test_in_a_reference_of_python_s(self, make):
        exports = make(LISTS).exports
        held = exports.list(30)
        exports.allocate(20)
        assert isinstance(held, StructReference)
        assert exports.sum(held) == total(30)

    def test_in_arguments_and_results_of_host_functions(self, make, store):
        held = []

        def swap(value):
            held.append(value)
            instance.exports.allocate(5)
            return held[0]

        node = "(type $node (struct (field (mut (ref null $node))) (field i32)))"
        instance = make(LISTS)
        reference = instance.exports.list(7).type.reference(nullable=True)
        host = store.host_function(FunctionType((reference,), (reference,)), swap)
        caller = make(
            f"""(module {node}
              (import "lists" "list" (func $list (param i32) (result (ref null $node))))
              (import "lists" "sum" (func $sum (param (ref null $node)) (result i64)))
              (import "host" "swap" (func $swap (param (ref null $node)) (result (ref null $node))))
              (func (export "run") (param i32) (result i64) (local (ref null $node))
                (local.set 1 (call $list (local.get 0)))
                (drop (call $swap (call $list (i32.const 9))))
                (i64.add (i64.mul (call $sum (local.get 1)) (i64.const 1000))
                  (call $sum (call $swap (ref.null $node))))))""",
            {"lists": instance, "host": {"swap": host}},
        )
        assert caller.exports.run(20) == total(20) * 1000 + total(9)
        assert instance.exports.sum(held[0]) == total(9)

    def test_while_a_module_is_instantiated(self, make):
        instance = make(
            """(module (type $leaf (struct (field i32))) (type $pair (struct (field (ref $leaf)) (field (ref $leaf))))
              (global $pair (ref $pair)
                (struct.new $pair (struct.new $leaf (i32.const 1)) (struct.new $leaf (i32.const 2))))
              (table $t 3 (ref null $leaf))
              (elem (table $t) (i32.const 0) (ref null $leaf) (item (struct.new $leaf (i32.const 10)))
                (item (struct.new $leaf (i32.const 20))) (item (struct.new $leaf (i32.const 30))))
              (elem $passive (ref null $leaf) (item (struct.new $leaf (i32.const 100)))
                (item (struct.new $leaf (i32.const 200))))
              (func (export "table") (param i32) (result i32) (struct.get $leaf 0 (table.get $t (local.get 0))))
              (func (export "init") (table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 2)))
              (func (export "pair") (result i32) (i32.add
                (struct.get $leaf 0 (struct.get $pair 0 (global.get $pair)))
                (i32.mul (i32.const 10) (struct.get $leaf 0 (struct.get $pair 1 (global.get $pair)))))))"""
        )
        exports = instance.exports
        assert exports.pair() == 21
        assert [exports.table(index) for index in range(3)] == [10, 20, 30]
        heap_of(instance).collect()
        exports.init()
        assert [exports.table(index) for index in range(3)] == [100, 200, 30]


def test_objects_of_joined_instances_stay_and_their_heap_is_one(make):
    first, second = make(LISTS), make(LISTS)
    first.exports.keep(1000)
    second.exports.keep(2000)
    held = first.exports.list(300)
    assert heap_of(first) is not heap_of(second)
    assert second.exports.sum(held) == total(300)
    assert heap_of(first) is heap_of(second)
    for instance in (first, second):
        instance.exports.allocate(300_000)
    heap_of(first).collect()
    assert first.exports.kept_sum() == total(1000)
    assert second.exports.kept_sum() == total(2000)
    assert first.exports.sum(held) == total(300)


def test_an_object_lives_on_when_the_instance_that_made_it_is_closed(make):
    maker, user = make(LISTS), make(LISTS)
    user.exports.kept.value = maker.exports.list(500)
    maker.close()
    user.exports.allocate(300_000)
    heap_of(user).collect()
    assert user.exports.kept_sum() == total(500)


def test_a_function_in_an_object_keeps_its_instance(make):
    holder = make(
        """(module (type $box (struct (field (mut funcref)))) (type $f (func (result i32)))
          (global $box (ref $box) (struct.new $box (ref.null func)))
          (func (export "put") (param funcref) (struct.set $box 0 (global.get $box) (local.get 0)))
          (func (export "call") (result i32)
            (call_ref $f (ref.cast (ref $f) (struct.get $box 0 (global.get $box))))))"""
    )
    callee = make('(module (func (export "f") (result i32) i32.const 42))')
    holder.exports.put(callee.exports.f)
    callee.close()
    other = make('(module (func (export "f") (result i32) i32.const 1))')
    other.close()
    gc.collect()
    assert holder.exports.call() == 42


def test_host_values_in_objects_stay(make, store):
    instance = make(
        """(module (type $box (struct (field externref))) (type $boxes (array (mut (ref null $box))))
          (global $boxes (ref $boxes) (array.new_default $boxes (i32.const 3000)))
          (func (export "put") (param i32 externref)
            (array.set $boxes (global.get $boxes) (local.get 0) (struct.new $box (local.get 1))))
          (func (export "read") (param i32) (result externref)
            (struct.get $box 0 (array.get $boxes (global.get $boxes) (local.get 0)))))"""
    )
    values = [[index] for index in range(3000)]  # more than are searched for at once
    for index, value in enumerate(values):
        instance.exports.put(index, value)
    for index in range(5000):
        instance.exports.put(0, [index])
    assert all(instance.exports.read(index) is values[index] for index in range(1, 3000))


def test_memory_goes_back_when_the_store_closes(engine):
    with Store(engine) as store:
        instance = store.instantiate(engine.load_module(wasm(LISTS)))
        instance.exports.keep(100_000)
        held = instance.exports.list(3)
        assert engine.statistics().memory_bytes >= 3_200_000
    assert engine.statistics().memory_bytes == 0
    with pytest.raises(ClosedError):
        instance.exports.sum(held)


def test_a_dropped_store_leaves_no_memory_taken():
    with Engine() as engine:
        instance = Store(engine).instantiate(engine.load_module(wasm(LISTS)))
        instance.exports.keep(100_000)
        del instance
        gc.collect()
        assert engine.statistics().memory_bytes == 0


def test_embedders_tables_and_globals_hold_objects(make, store):
    instance = make(LISTS)
    node = instance.exports.list(5)
    table = store.table(TableType(ANYREF, Limits(2)))
    variable = store.global_(GlobalType(ANYREF, mutable=True), None)
    table[1] = node
    variable.value = instance.exports.list(6)
    del node
    instance.exports.allocate(500_000)
    heap_of(instance).collect()
    assert instance.exports.sum(table[1]) == total(5)
    assert instance.exports.sum(variable.value) == total(6)


def test_what_a_guest_left_by_a_trap_is_collected_too(make):
    instance = make(
        """(module (type $big (array (mut i64)))
          (func (export "f") (drop (array.new_default $big (i32.const 100000))) unreachable))"""
    )
    for _ in range(100):
        with pytest.raises(Trap, match="unreachable"):
            instance.exports.f()
    assert heap_of(instance).bytes < 10 << 20


def test_descriptors_say_where_references_are(engine):
    module = engine.load_module(
        wasm("(module (type (struct (field i32 anyref i8 (ref null 0)))) (type (array (mut externref))))")
    )
    code = engine.compile_module(module).code
    structure, array = ((ctypes.c_int32 * 8).from_address(kept.descriptor) for kept in code.kept_types)
    assert (structure[2], structure[3]) == (abi.DescriptorKind.STRUCT, 2)
    assert (array[2], array[3], array[6]) == (abi.DescriptorKind.ARRAY, 1, 8)
    offsets = ctypes.c_uint64.from_address(code.kept_types[0].descriptor + abi.DESCRIPTOR_OFFSETS).value
    assert list((ctypes.c_uint32 * 2).from_address(offsets)) == [16, 32]


def test_a_bounded_growth_finds_room_among_cells_of_other_sizes(engine):
    """Heaps full of cells of one size, nearly all free, do not keep a guest from having others."""
    sizes = "".join(f"(type $s{size} (struct {'(field i64)' * size}))" for size in range(1, 12))
    functions = "".join(
        f"""(func (export "f{size}") (param i32) (loop (drop (struct.new_default $s{size}))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))"""
        for size in range(1, 12)
    )
    with Store(engine, limits=StoreLimits(total_memory_bytes=4 << 20)) as store:
        exports = store.instantiate(engine.load_module(wasm(f"(module {sizes} {functions})"))).exports
        for _ in range(3):
            for size in range(1, 12):
                exports[f"f{size}"](100_000)
        assert store.memory_budget.used <= 4 << 20


def test_arrays_are_given_to_python_as_arrays(make):
    instance = make(
        '(module (type $a (array i8)) (func (export "f") (result anyref) (array.new_default $a (i32.const 1))))'
    )
    assert isinstance(instance.exports.f(), ArrayReference)
