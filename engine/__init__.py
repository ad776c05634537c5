"""farcall's engine: WebAssembly at native speed, as a library.

>>> from farcall.engine import Engine, Store
>>> with Engine() as engine, Store(engine) as store:
...     instance = store.instantiate(engine.load_module(source))
...     instance.exports.add(1, 2)
3

`engine.engine` tells the whole journey from bytes to a call.
"""

from farcall.engine.abi.traps import TrapKind
from farcall.engine.binary.section_headers import SectionHeader, section_headers
from farcall.engine.cache.authentication import UnsafeCacheKeyError
from farcall.engine.cache.configuration import DEFAULT_DISK_BYTES, CacheConfiguration
from farcall.engine.engine import Engine, EngineStatistics
from farcall.engine.errors import (
    ArgumentError,
    ClosedError,
    EngineBug,
    ExhaustionError,
    ExportNotFoundError,
    FarcallError,
    Frame,
    InvalidModuleError,
    LinkError,
    MalformedModuleError,
    ModuleError,
    NameTakenError,
    RangeError,
    ReentrancyError,
    TerminatedError,
    Trap,
    UnsupportedFeatureError,
    WasmException,
)
from farcall.engine.instructions.instruction import features_named
from farcall.engine.interface import (
    AbstractEngine,
    FunctionDefinition,
    FunctionListener,
    ModuleEngine,
    TailCallListener,
)
from farcall.engine.runtime.bounded_calls import end_turn, ends_soon, try_turn
from farcall.engine.runtime.compiled_module import CompiledModule
from farcall.engine.runtime.function import Function, HostFunction, Invocation
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.instance import Exports, Instance
from farcall.engine.runtime.instantiation import Instantiation
from farcall.engine.runtime.limits import StoreLimits
from farcall.engine.runtime.linking import Extern, Imports
from farcall.engine.runtime.memory import Memory
from farcall.engine.runtime.object_references import I31, ArrayReference, ObjectReference, StructReference
from farcall.engine.runtime.stoppable import Stoppable
from farcall.engine.runtime.store import Store
from farcall.engine.runtime.table import Table
from farcall.engine.runtime.tag import Tag
from farcall.engine.structure.module import Export, Import, Module
from farcall.engine.structure.type_text import type_texts
from farcall.engine.structure.types import (
    ANYREF,
    ARRAYREF,
    EQREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I31REF,
    I32,
    I64,
    STRUCTREF,
    V128,
    ExternKind,
    ExternType,
    FunctionType,
    GlobalType,
    Limits,
    MemoryType,
    ReferenceType,
    TableType,
    TagType,
    ValueType,
)

__all__ = [
    "ANYREF",
    "ARRAYREF",
    "DEFAULT_DISK_BYTES",
    "EQREF",
    "EXNREF",
    "EXTERNREF",
    "F32",
    "F64",
    "FUNCREF",
    "I31",
    "I31REF",
    "I32",
    "I64",
    "STRUCTREF",
    "V128",
    "AbstractEngine",
    "ArgumentError",
    "ArrayReference",
    "CacheConfiguration",
    "ClosedError",
    "CompiledModule",
    "Engine",
    "EngineBug",
    "EngineStatistics",
    "ExhaustionError",
    "Export",
    "ExportNotFoundError",
    "Exports",
    "Extern",
    "ExternKind",
    "ExternType",
    "FarcallError",
    "Frame",
    "Function",
    "FunctionDefinition",
    "FunctionListener",
    "FunctionType",
    "Global",
    "GlobalType",
    "HostFunction",
    "Import",
    "Imports",
    "Instance",
    "Instantiation",
    "InvalidModuleError",
    "Invocation",
    "Limits",
    "LinkError",
    "MalformedModuleError",
    "Memory",
    "MemoryType",
    "Module",
    "ModuleEngine",
    "ModuleError",
    "NameTakenError",
    "ObjectReference",
    "RangeError",
    "ReentrancyError",
    "ReferenceType",
    "SectionHeader",
    "Stoppable",
    "Store",
    "StoreLimits",
    "StructReference",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "TailCallListener",
    "TerminatedError",
    "Trap",
    "TrapKind",
    "UnsafeCacheKeyError",
    "UnsupportedFeatureError",
    "ValueType",
    "WasmException",
    "end_turn",
    "ends_soon",
    "features_named",
    "section_headers",
    "try_turn",
    "type_texts",
]
