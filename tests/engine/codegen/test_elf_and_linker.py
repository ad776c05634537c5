"""Objects read and linked to images that run wherever they are mapped, for both machines."""

from __future__ import annotations

import ctypes
import struct
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import (
    MACHINE_AARCH64,
    MACHINE_X86_64,
    ElfObject,
    Relocation,
    Section,
    Symbol,
    read_object,
)
from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import Image, link
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.errors import EngineBug, Frame
from farcall.engine.lowering import LoweringOptions, lower_functions
from farcall.engine.runtime.native import code_memory
from farcall.engine.runtime.native.code_memory import CodeRegistry, MappedCode
from farcall.engine.validation import validate_module
from tests.engine.guests import wasm

AARCH64 = Target("aarch64-unknown-linux-gnu", "generic", "")
X86_64 = Target("x86_64-unknown-linux-gnu", "x86-64", "")
TARGETS = {"x86_64": X86_64, "aarch64": AARCH64}

GUEST = """(module (memory 1) (table 2 funcref) (elem (i32.const 0) $fib)
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0)
      (i32.const 2)))))))
  (func (export "switch") (param i32) (result i32)
    (block (block (block (block (block (block (br_table 0 1 2 3 4 5 (local.get 0)))
      (return (i32.const 11))) (return (i32.const 7))) (return (i32.const -5))) (return (i32.const 1234567)))
      (return (i32.const 0))) (i32.const 99))
  (func (export "floats") (param f64) (result f64) (f64.add (f64.mul (local.get 0) (f64.const 3.14159))
  (f64.const 1e300)))
  (func (export "truncate") (param f64) (result i32) (i32.trunc_sat_f64_s (local.get 0)))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func (export "copy") (memory.copy (i32.const 0) (i32.const 8) (i32.const 9))))"""


def compile_guest(text: str, target: Target, optimization: Optimization = Optimization.FULL) -> ElfObject:
    module = decode_module(wasm(text))
    validate_module(module)
    options = LoweringOptions(ensure_termination=True, listeners=False)
    lowered = lower_functions(module, context_layout(module), options, module.functions)
    return read_object(compile_to_object(lowered, target, optimization))


def test_targets():
    assert host_target().architecture in TARGETS
    assert AARCH64.architecture == "aarch64"


@pytest.mark.parametrize("optimization", Optimization)
@pytest.mark.parametrize("machine", TARGETS)
class TestGuests:
    def test_every_function_has_its_place(self, machine, optimization):
        image = link([compile_guest(GUEST, TARGETS[machine], optimization)])
        assert [name for _offset, _size, name in image.functions] == [f"f{index}" for index in range(6)]
        end = 0
        for offset, size, _name in image.functions:
            assert offset >= end
            assert offset % 4 == 0
            assert size > 0
            end = offset + size
        assert end <= len(image.content)

    def test_nothing_depends_on_where_it_is_mapped(self, machine, optimization):
        """All relocations are relative: linking would fail otherwise. No unwinding tables are kept."""
        entry = compile_guest(GUEST, TARGETS[machine], optimization)
        assert entry.machine == (MACHINE_AARCH64 if machine == "aarch64" else MACHINE_X86_64)
        assert not [section.name for section in entry.sections if section.name.startswith(".eh_frame")]
        assert not [section.name for section in entry.sections if section.name in (".data", ".bss", ".got")]
        assert entry.relocations
        link([entry])

    def test_functions_of_several_objects_find_each_other(self, machine, optimization):
        first = """define i32 @first(i32 %a) { %b = call i32 @second(i32 %a) %c = add i32 %b, 1 ret i32 %c }
            declare hidden i32 @second(i32)"""
        second = """define i32 @second(i32 %a) { %b = mul i32 %a, 10 ret i32 %b }"""
        target = TARGETS[machine]
        objects = [
            read_object(
                compile_to_object(
                    text.replace(") %", ")\n%")
                    .replace("{ %", "{\n%")
                    .replace(" %c", "\n%c")
                    .replace(" ret", "\nret"),
                    target,
                    optimization,
                )
            )
            for text in (first, second)
        ]
        image = link(objects)
        assert {name for _offset, _size, name in image.functions} == {"first", "second"}
        with pytest.raises(EngineBug, match="'second', which nothing defines"):
            link(objects[:1])
        with pytest.raises(EngineBug, match="two objects define 'first'"):
            link([objects[0], objects[0], objects[1]])


@pytest.mark.skipif(host_target().architecture != "x86_64", reason="runs what it compiles for x86-64")
@pytest.mark.parametrize("optimization", Optimization)
def test_images_run_at_any_place(optimization):
    """A constant, a jump table and a call, in an image that is mapped twice."""
    text = """
    @numbers = private constant [4 x i64] [i64 3, i64 5, i64 7, i64 11]
    define i64 @go(i64 %index) {
      %at = getelementptr [4 x i64], ptr @numbers, i64 0, i64 %index
      %number = load i64, ptr %at
      %more = call i64 @choose(i64 %index)
      %sum = add i64 %number, %more
      ret i64 %sum
    }
    define hidden i64 @choose(i64 %index) noinline {
      switch i64 %index, label %other [ i64 0, label %a i64 1, label %b
        i64 2, label %c i64 3, label %d i64 4, label %e ]
    a: call void asm sideeffect "", ""()
      ret i64 100
    b: call void asm sideeffect "nop", ""()
      ret i64 205
    c: call void asm sideeffect "nop", ""()
      ret i64 317
    d: call void asm sideeffect "nop", ""()
      ret i64 421
    e: call void asm sideeffect "nop", ""()
      ret i64 533
    other:
      ret i64 0
    }"""
    image = link([read_object(compile_to_object(text, host_target(), optimization))])
    for code in (MappedCode(image), MappedCode(image)):
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.addresses["go"])
        assert [function(index) for index in range(4)] == [103, 210, 324, 432]


def apply(
    machine: int, kind: int, instruction: bytes, target: int, place: int = 0x10000, addend: int = 0
) -> bytes:
    """The bytes at `place` of a section after one relocation against a symbol at `target`."""
    content = bytearray(0x40000)
    content[place : place + len(instruction)] = instruction
    symbol = Symbol("target", 1, target, 0, False)
    entry = ElfObject(
        machine,
        (Section(1, ".text", bytes(content), 16),),
        (symbol,),
        (Relocation(1, place, kind, symbol, addend),),
    )
    return link([entry]).content[place : place + len(instruction)]


class TestRelocationsOfX86:
    @given(st.integers(0, 0x3FFFC), st.integers(-64, 64))
    def test_distances(self, target, addend):
        for kind in (2, 4):
            assert (
                struct.unpack("<i", apply(MACHINE_X86_64, kind, bytes(4), target, addend=addend))[0]
                == target + addend - 0x10000
            )
        assert (
            struct.unpack("<q", apply(MACHINE_X86_64, 24, bytes(8), target, addend=addend))[0]
            == target + addend - 0x10000
        )

    @pytest.mark.parametrize("kind", [0, 1, 9, 10, 42])
    def test_absolute_and_unknown_ones_are_refused(self, kind):
        with pytest.raises(EngineBug, match=f"unknown x86-64 relocation {kind} against 'target'"):
            apply(MACHINE_X86_64, kind, bytes(8), 0)

    def test_too_far(self):
        with pytest.raises(EngineBug, match="too far"):
            apply(MACHINE_X86_64, 2, bytes(4), 0, addend=2**31 + 0x10000)


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


class TestRelocationsOfAArch64:
    """Against the instructions' encodings, as the architecture's manual has them."""

    @given(st.integers(0, 0xFFFF))
    def test_calls_and_jumps(self, words):
        target = words * 4
        for kind, opcode in ((283, 0x94000000), (282, 0x14000000)):
            (instruction,) = struct.unpack(
                "<I", apply(MACHINE_AARCH64, kind, struct.pack("<I", opcode), target)
            )
            assert instruction & 0xFC000000 == opcode
            assert signed(instruction & 0x3FFFFFF, 26) * 4 == target - 0x10000

    @given(st.integers(0, 0x3FFFF))
    def test_pages_and_offsets(self, target):
        (adrp,) = struct.unpack("<I", apply(MACHINE_AARCH64, 275, struct.pack("<I", 0x90000003), target))
        assert adrp & 0x9F00001F == 0x90000003
        pages = signed((adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3, 21)
        (add,) = struct.unpack("<I", apply(MACHINE_AARCH64, 277, struct.pack("<I", 0x91000063), target))
        assert add & 0xFFC003FF == 0x91000063
        # What the two compute, wherever the image begins, so long as that is a page.
        assert (0x10000 & ~0xFFF) + pages * 4096 + (add >> 10 & 0xFFF) == target
        (adr,) = struct.unpack("<I", apply(MACHINE_AARCH64, 274, struct.pack("<I", 0x10000003), target))
        assert signed((adr >> 5 & 0x7FFFF) << 2 | adr >> 29 & 3, 21) == target - 0x10000

    @pytest.mark.parametrize(("kind", "size"), [(278, 1), (284, 2), (285, 4), (286, 8), (299, 16)])
    @given(data=st.data())
    def test_loads(self, kind, size, data):
        target = data.draw(st.integers(0, 0x3FF)) * size
        (load,) = struct.unpack("<I", apply(MACHINE_AARCH64, kind, struct.pack("<I", 0xF9400000), target))
        assert load & 0xFFC003FF == 0xF9400000
        assert (load >> 10 & 0xFFF) * size == target & 0xFFF
        if size > 1:
            with pytest.raises(EngineBug, match="not aligned"):
                apply(MACHINE_AARCH64, kind, bytes(4), target + 1)

    @given(st.integers(0x3000, 0x5000))
    def test_conditional_branches(self, words):
        (instruction,) = struct.unpack(
            "<I", apply(MACHINE_AARCH64, 280, struct.pack("<I", 0x54000001), words * 4)
        )
        assert signed(instruction >> 5 & 0x7FFFF, 19) * 4 == words * 4 - 0x10000
        (instruction,) = struct.unpack(
            "<I",
            apply(MACHINE_AARCH64, 279, struct.pack("<I", 0x36000001), 0x10000 + words - words % 4 - 0x3000),
        )
        assert signed(instruction >> 5 & 0x3FFF, 14) * 4 == words - words % 4 - 0x3000

    def test_words_and_what_is_refused(self):
        assert struct.unpack("<i", apply(MACHINE_AARCH64, 261, bytes(4), 0x20))[0] == 0x20 - 0x10000
        assert struct.unpack("<q", apply(MACHINE_AARCH64, 260, bytes(8), 0x20))[0] == 0x20 - 0x10000
        with pytest.raises(EngineBug, match="unknown AArch64 relocation 257"):
            apply(MACHINE_AARCH64, 257, bytes(8), 0)
        with pytest.raises(EngineBug, match="too far"):
            apply(MACHINE_AARCH64, 279, bytes(4), 0)
        with pytest.raises(EngineBug, match="not at a word"):
            apply(MACHINE_AARCH64, 283, bytes(4), 0x20001)


@pytest.mark.parametrize(
    "data",
    [
        bytes(64),
        b"\x7fELF\x01\x01" + bytes(58),
        b"\x7fELF\x02\x02" + bytes(58),
        b"\x7fELF\x02\x01" + bytes(12) + b"\x08\0" + bytes(44),
    ],
    ids=["nothing", "32 bits", "big-endian", "another machine"],
)
def test_what_is_no_object_of_ours(data):
    with pytest.raises(EngineBug, match="64-bit little-endian ELF"):
        read_object(data)


class TestCodeMemory:
    IMAGE = Image(b"\xc3" * 100, ((0, 10, "f0"), (16, 20, "f1"), (48, 0, "f2")))

    class Owner:
        """Has code of its own, and names each place in it by its offset."""

        def __init__(self, name: str) -> None:
            self.name = name
            self.code = MappedCode(TestCodeMemory.IMAGE)

        def frame_at(self, address):
            return Frame(address - self.code.base, self.name, None)

    def test_from_address_to_function(self):
        code = MappedCode(self.IMAGE)
        assert code.base % 4096 == 0
        assert code.size == 4096
        assert code.addresses == {"f0": code.base, "f1": code.base + 16, "f2": code.base + 48}
        names = {
            offset: FunctionTable.of(self.IMAGE.functions).at(offset)
            for offset in (-1, 0, 9, 10, 15, 16, 35, 36, 48, 49, 5000)
        }
        assert names == {
            -1: None, 0: "f0", 9: "f0", 10: None, 15: None, 16: "f1", 35: "f1", 36: None, 48: "f2", 49: None,
            5000: None,
        }  # fmt: skip

    def test_the_registry_knows_whose_code_it_is_as_long_as_there_is_an_owner(self):
        registry = CodeRegistry()
        owners = [self.Owner(name) for name in map(str, range(20))]
        for owner in owners:
            registry.register(owner.code, owner)
        assert len(registry) == 20
        for _ in range(2):  # the second time from what is remembered
            for owner in owners:
                for offset in (1, 100, 4096):
                    (frame,) = registry.frames([owner.code.base + offset])
                    assert (frame.function_name, frame.function_index) == (owner.name, offset)
        addresses = [owner.code.base + 1 for owner in owners]
        assert [frame.function_name for frame in registry.frames(addresses)] == [*map(str, range(20))]
        kept = owners[::2]
        del owners, owner
        assert len(registry) == 10
        assert [frame.function_name for frame in registry.frames(addresses)] == [owner.name for owner in kept]
        assert registry.frames([0, 2**63]) == ()

    def test_the_registry_forgets_what_it_found_when_other_code_comes_to_the_place(self):
        registry = CodeRegistry()
        former = self.Owner("former")
        address = former.code.base + 5
        assert registry.frames([address]) == ()
        registry.register(former.code, former)
        assert [frame.function_name for frame in registry.frames([address])] == ["former"]
        code = former.code
        del former
        assert registry.frames([address]) == ()
        latter = self.Owner("latter")
        latter.code = code
        registry.register(code, latter)
        assert [frame.function_name for frame in registry.frames([address])] == ["latter"]

    def test_the_registry_in_the_middle_of_itself(self):
        """A signal's handler may call a guest that traps, or make new code, between any two steps of this thread."""
        registry = CodeRegistry()
        owners = [self.Owner("first")]
        registry.register(owners[0].code, owners[0])
        moments = 0

        def interrupt(_frame, event, _argument):
            nonlocal moments
            if event == "opcode":
                sys.settrace(None)
                moments += 1
                owner = self.Owner(f"at moment {moments}")
                registry.register(owner.code, owner)
                for each in (owners[-1], owner):
                    (frame,) = registry.frames([each.code.base + 1])
                    assert frame.function_name == each.name
                if moments % 10 == 0 and moments < 100:
                    owners.append(owner)  # the others are gone at once
                sys.settrace(begin)
            return interrupt

        def begin(frame, _event, _argument):
            if frame.f_code.co_filename != code_memory.__file__:
                return None
            frame.f_trace_opcodes = True
            return interrupt

        def work():
            for name in ("second", "third"):
                owner = self.Owner(name)
                code = owner.code
                sys.settrace(begin)
                try:
                    registry.register(code, owner)
                    registry.frames([code.base + 1])
                finally:
                    sys.settrace(None)
                owners.append(owner)
            ended.append(True)

        ended = []
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(60)
        assert ended, "it waits for itself, or raised"
        assert moments > 100
        names = [frame.function_name for frame in registry.frames([owner.code.base + 1 for owner in owners])]
        assert names == [owner.name for owner in owners]
        assert len(registry) == len(owners)

    def test_the_registry_with_owners_that_go_in_the_middle_of_it(self):
        """The collector may end an owner while this thread registers another."""
        import gc

        registry = CodeRegistry()
        former = gc.get_threshold()
        gc.set_threshold(1)
        try:
            for _ in range(300):
                owner = self.Owner("")
                owner.circle = owner
                registry.register(owner.code, owner)
                assert len(registry.frames([owner.code.base + 5])) == 1
        finally:
            gc.set_threshold(*former)
        del owner
        gc.collect()
        assert len(registry) == 0


@pytest.mark.parametrize("machine", TARGETS)
def test_the_native_runtime_can_be_made_for_both_machines(machine):
    """Traps, entries, host calls, bulk operations, the end of threads: each compiles and links."""
    from farcall.engine.runtime.native import machine as native
    from farcall.engine.runtime.native.bulk import bulk_text
    from farcall.engine.runtime.native.exceptions import exceptions_text
    from farcall.engine.runtime.native.host_border import (
        direct_host_call_text,
        host_border_text,
        host_call_text,
        listener_text,
    )
    from farcall.engine.runtime.native.machine import native_runtime
    from farcall.engine.runtime.native.threads import thread_end_text
    from farcall.engine.runtime.native.trampolines import batch_entry_text, entry_text, integer_entries_text
    from farcall.engine.runtime.native.traps import fault_entry_text, traps_text
    from farcall.engine.structure.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, FunctionType

    every = (I32, I64, F32, F64, FUNCREF, EXTERNREF)
    signature = FunctionType(every * 3, every)
    text = "\n".join(
        (
            traps_text(machine, 1, native_runtime().space),
            fault_entry_text(4096, 8192),
            host_border_text(1, 4096),
            exceptions_text(1, 4096, 8, 16),
            listener_text("listener_before", 8),
            listener_text("listener_after", 16),
            bulk_text(),
            thread_end_text(),
            entry_text("entry0", signature, 1),
            entry_text("entry1", FunctionType((), ()), 1),
            batch_entry_text("batch0", signature, 1),
            batch_entry_text("batch1", FunctionType((), ()), 1),
            host_call_text("host_call", signature, 4096, 24),
            direct_host_call_text(),
            integer_entries_text(1),
            native._ATTRIBUTES,
        )
    )
    for optimization in Optimization:
        image = link([read_object(compile_to_object(text, TARGETS[machine], optimization))])
        names = {name for _offset, _size, name in image.functions}
        assert {"leave", "on_fault", "call_host", "thread_end", "memory_grow", "entry0", "host_call"} <= names
