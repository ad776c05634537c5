"""The host module `spectest` that scripts import from, as the reference interpreter provides it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from farcall.engine.structure.types import (
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
)

if TYPE_CHECKING:
    from farcall.engine import Store

HOST_MODULE = "spectest"

PRINT_FUNCTIONS = {
    "print": (),
    "print_i32": (I32,),
    "print_i64": (I64,),
    "print_f32": (F32,),
    "print_f64": (F64,),
    "print_i32_f32": (I32, F32),
    "print_f64_f64": (F64, F64),
}

(NEAREST_F32_666_6,) = struct.unpack("<f", struct.pack("<f", 666.6))
GLOBALS = {"global_i32": (I32, 666), "global_i64": (I64, 666)} | {
    "global_f32": (F32, NEAREST_F32_666_6),
    "global_f64": (F64, 666.6),
}


def spectest_externs(store: Store) -> dict[str, object]:
    """The externs of the module `spectest`, made in `store`."""
    externs: dict[str, object] = {
        name: store.host_function(FunctionType(parameters, ()), _ignore, name=name)
        for name, parameters in PRINT_FUNCTIONS.items()
    }
    for name, (value_type, value) in GLOBALS.items():
        externs[name] = store.global_(GlobalType(value_type, mutable=False), value)
    externs["table"] = store.table(TableType(FUNCREF, Limits(10, 20)))
    externs["table64"] = store.table(TableType(FUNCREF, Limits(10, 20), I64))
    externs["memory"] = store.memory(MemoryType(Limits(1, 2)))
    externs["shared_memory"] = store.memory(MemoryType(Limits(1, 2), shared=True))
    return externs


def _ignore(*_: object) -> None:
    """What the guest prints is of no interest."""
