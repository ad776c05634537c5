"""A module's native code, shared by all instances, and what each client's compilation adds to it."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from array import array

from farcall.engine.abi import layout
from farcall.engine.abi.calls import symbol
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.codegen.function_table import FunctionTable
from farcall.engine.codegen.linker import Image
from farcall.engine.errors import EngineBug, Frame
from farcall.engine.interface import AbstractCompiledModule, FunctionListener
from farcall.engine.runtime.native.code_memory import MappedCode
from farcall.engine.runtime.native.machine import native_runtime
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.structure.module import Module


def record_word(index: int, field: int) -> int:
    """Which of the words of a module's function records is that field of function `index`."""
    return (index * layout.FUNCTION_RECORD_SIZE + field) // 8


class CompiledCode(ABC):
    """Native code of one module. It lives as long as an instance, a compiled module or the engine's cache uses it.

    Attributes:
        module: the module that it was compiled from; every use has a module with the same content.
        layout: of its instances' contexts.
        types: whose ids `type_ids` has: those of the engine that compiled it.
        kept_types: canonical ids by type index; who may outlive this object and uses descriptors keeps them.
        type_ids: their numbers, for machine code; `descriptors` their descriptors.
        listening: whether it reports its calls.
        code_table: address of its code table, for instances' contexts; 0 where it has none.
        function_records: of an instance, but for the context, and for what imports add.
    """

    code_table = 0

    def __init__(
        self, module: Module, layout_: ContextLayout, types: TypeRegistry, *, listening: bool
    ) -> None:
        self.module = module
        self.layout = layout_
        self.listening = listening
        self.types = types
        self.kept_types = tuple([types.keep(entry) for entry in module.defined_types])
        count = max(len(self.kept_types), 1)
        self.type_ids = (ctypes.c_int32 * count)(*(kept.number for kept in self.kept_types))
        self.descriptors = (ctypes.c_uint64 * count)(*(kept.descriptor for kept in self.kept_types))
        self.function_records = self._make_function_records()

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of memory that the code takes."""

    @abstractmethod
    def functions_by_tier(self) -> tuple[int, int, int]:
        """How many functions are not compiled, compiled fast, and compiled well."""

    @abstractmethod
    def _write_entry_points(self, records: bytearray) -> None:
        """Write the addresses of the functions that the module defines, and of their tail entries, into its records."""

    def is_compiled(self, index: int) -> bool:
        """Whether function `index`, which the module defines, has code."""
        return True

    def address(self, index: int) -> int:
        """Address of the code of function `index`, which the module defines; it stays the same."""
        place = index * layout.FUNCTION_RECORD_SIZE + layout.FUNCTION_RECORD_CODE
        return int.from_bytes(self.function_records[place : place + 8], "little")

    def _make_function_records(self) -> bytearray:
        types = array("I", self.module.function_types)
        records = bytearray(len(types) * layout.FUNCTION_RECORD_SIZE)
        ids, descriptors = ctypes.addressof(self.type_ids), ctypes.addressof(self.descriptors)
        native_runtime().function_loops.write_types(records, types, ids, descriptors)
        self._write_entry_points(records)
        return records


class ModuleFrames:
    """What the functions of a module are called in backtraces (a `FrameNames`)."""

    def __init__(self, module: Module, tail_calling: frozenset[int]) -> None:
        """Parameters: those of the module's functions that make tail calls, and so have tail entries."""
        self._module = module
        self._tail_calling = tail_calling

    def profiled_name(self, symbol_: str) -> str:
        """What profilers call a symbol: as backtraces do."""
        index = int(symbol_[1:])
        return str(Frame(index, self._module.function_name(index), self._module.names.module))

    def frame(self, symbol_: str) -> Frame | None:
        """The frame of the function with that symbol."""
        index = int(symbol_[1:])
        if symbol_ == symbol(index) and index in self._tail_calling:
            return None  # It only calls the tail entry, and by tail calls that has become another function's frame.
        return Frame(index, self._module.function_name(index), self._module.names.module)


class WholeCode(CompiledCode):
    """Code that was all compiled before the first call, as one image: functions call each other directly."""

    def __init__(
        self, module: Module, layout_: ContextLayout, image: Image, types: TypeRegistry, *, listening: bool
    ) -> None:
        self._functions = FunctionTable.of(image.functions)
        tail_calling = frozenset(index for index, _offset in self._functions.tail_entries())
        self._frames = ModuleFrames(module, tail_calling)
        self._mapped = MappedCode(image, self._frames.profiled_name)
        super().__init__(module, layout_, types, listening=listening)
        native_runtime().registry.register(self._mapped, self)

    @property
    def size(self) -> int:
        """Bytes of memory that the code takes."""
        return self._mapped.size

    def functions_by_tier(self) -> tuple[int, int, int]:
        """All functions are compiled as well as they will be."""
        return 0, 0, len(self.module.functions)

    def _write_entry_points(self, records: bytearray) -> None:
        base, words = self._mapped.base, memoryview(records).cast("Q")
        indices, offsets = self._functions.ordinary()
        native_runtime().function_loops.write_codes(records, base, indices, offsets)
        first, stride = self.module.imported_function_count, layout.FUNCTION_RECORD_SIZE // 8
        codes = words[record_word(first, layout.FUNCTION_RECORD_CODE) :: stride].tolist()
        if 0 in codes:
            raise EngineBug(f"an image without the module's function {first + codes.index(0)}")
        for index, offset in self._functions.tail_entries():
            words[record_word(index, layout.FUNCTION_RECORD_TAIL)] = base + offset

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in this code."""
        name = self._functions.at(address - 1 - self._mapped.base)
        return None if name is None else self._frames.frame(name)


class CompiledModule(AbstractCompiledModule):
    """A module compiled for a client: shared code, and the client's own listeners."""

    def __init__(self, module: Module, listeners: tuple[FunctionListener, ...], code: CompiledCode) -> None:
        self.module = module
        self.listeners = listeners
        self.code = code
