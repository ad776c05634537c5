"""A module's native code, shared by all instances, and what each client's compilation adds to it."""

from __future__ import annotations

import ctypes
import struct
from array import array

from farcall.engine.abi import layout
from farcall.engine.abi.calls import symbol, tail_symbol
from farcall.engine.abi.layout import ContextLayout
from farcall.engine.codegen.linker import Image
from farcall.engine.errors import EngineBug, Frame
from farcall.engine.interface import AbstractCompiledModule, FunctionListener
from farcall.engine.runtime.native.code_memory import MappedCode
from farcall.engine.runtime.native.machine import is_wide, native_runtime
from farcall.engine.runtime.type_registry import TypeRegistry
from farcall.engine.structure.module import Module
from farcall.engine.structure.types import ExternKind, FunctionType

_RECORD = struct.Struct("<QQiiQQ")


_PREPARED_ENTRIES = 128


def _usual_entries(module: Module) -> list[FunctionType]:
    """The types of exported functions for which entries are made at once. The others' are made at their first call."""
    types: dict[FunctionType, None] = {}
    for export in module.exports:
        if export.kind is ExternKind.FUNCTION:
            signature = module.function_type(export.index)
            if not is_wide(signature):
                types[signature] = None
                if len(types) == _PREPARED_ENTRIES:
                    break
    return list(types)


class CompiledCode:
    """Mapped code of one module. It lives as long as an instance, a compiled module or the engine's cache uses it.

    Attributes:
        module: the module that it was compiled from; every use has a module with the same content.
        layout: of its instances' contexts.
        types: whose ids `type_ids` has: those of the engine that compiled it.
        kept_types: canonical ids by type index; who may outlive this object and uses descriptors keeps them.
        type_ids: their numbers, for machine code; `descriptors` their descriptors.
        listening: whether it reports its calls.
    """

    def __init__(
        self, module: Module, layout_: ContextLayout, image: Image, types: TypeRegistry, *, listening: bool
    ) -> None:
        self.module = module
        self.layout = layout_
        self.listening = listening
        self._mapped = MappedCode(image)
        self.size = self._mapped.size
        self.types = types
        self.kept_types = tuple([types.keep(entry) for entry in module.defined_types])
        count = max(len(self.kept_types), 1)
        self.type_ids = (ctypes.c_int32 * count)(*(kept.number for kept in self.kept_types))
        self.descriptors = (ctypes.c_uint64 * count)(*(kept.descriptor for kept in self.kept_types))
        self.function_records = self._make_function_records()
        native_runtime().registry.register(self._mapped, self)
        self._entries = native_runtime().prepare_entries(_usual_entries(module))

    def address(self, index: int) -> int:
        """Address of the code of function `index`, which the module defines."""
        return self._mapped.addresses[symbol(index)]

    def tail_entry(self, index: int) -> int:
        """Address of the tail entry of function `index`, which the module defines; 0 where it has none."""
        return self._mapped.addresses.get(tail_symbol(index), 0)

    def _make_function_records(self) -> bytes:
        """The function records of an instance, but for the context, and for what imports add."""
        first = self.module.imported_function_count
        types = self.module.function_types
        count = len(types)
        addresses = self._mapped.addresses
        find = addresses.get
        # Records are columns of words here: of a large module, one record at a time would take most of the time that
        # loading it from the cache takes. All machines that code is made for are little-endian.
        ids, descriptors = list(self.type_ids), list(self.descriptors)
        words = array("Q", bytes(_RECORD.size * count))
        width = _RECORD.size // 8
        words[first * width :: width] = array(
            "Q", [addresses[symbol(index)] for index in range(first, count)]
        )
        words[2::width] = array(
            "Q", [(ids[each] & 0xFFFFFFFF) | index << 32 for index, each in enumerate(types)]
        )
        tails = array("Q", [find(tail_symbol(index), 0) for index in range(first, count)])
        words[first * width + 3 :: width] = tails
        words[4::width] = array("Q", [descriptors[each] for each in types])
        return words.tobytes()

    def frame_at(self, address: int) -> Frame | None:
        """The frame of a return address that lies in this code."""
        name = self._mapped.symbol_at(address - 1)
        if name is None:
            return None
        index = int(name[1:])
        if name == symbol(index) and self.tail_entry(index):
            return None  # It only calls the tail entry, and by tail calls that has become another function's frame.
        return Frame(index, self.module.function_name(index), self.module.names.module)


if _RECORD.size != layout.FUNCTION_RECORD_SIZE:
    raise EngineBug("the function record's layout and its packing differ")


class CompiledModule(AbstractCompiledModule):
    """A module compiled for a client: shared code, and the client's own listeners."""

    def __init__(self, module: Module, listeners: tuple[FunctionListener, ...], code: CompiledCode) -> None:
        self.module = module
        self.listeners = listeners
        self.code = code
