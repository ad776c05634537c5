"""The names of `farcall.engine`, which is where to import them from."""

from farcall.engine.abi.traps import TrapKind
from farcall.engine.binary.custom_contents import custom_section_problems
from farcall.engine.binary.section_headers import SectionHeader, section_headers
from farcall.engine.cache.artifact import Artifact, check_trustworthy, decode_artifact, encode_artifact
from farcall.engine.cache.authentication import UnsafeCacheKeyError
from farcall.engine.cache.configuration import DEFAULT_DISK_BYTES, CacheConfiguration
from farcall.engine.codegen.target_choice import choose_target, known_cpus
from farcall.engine.engine import Engine
from farcall.engine.engine_statistics import EngineStatistics
from farcall.engine.errors import (
    AbortTrap,
    ArgumentError,
    ArtifactError,
    ClosedError,
    CompileCancelledError,
    CompileLimitError,
    CompilerCrashError,
    EngineBug,
    ExhaustionError,
    ExportNotFoundError,
    FarcallError,
    Frame,
    FunctionNotFoundError,
    HostFailure,
    HostModuleError,
    ImportFailedError,
    InvalidModuleError,
    LinkError,
    MalformedModuleError,
    ModuleError,
    MountError,
    NameTakenError,
    ProgramExit,
    QueueFullError,
    RangeError,
    ReentrancyError,
    TerminatedError,
    Trap,
    UnsupportedFeatureError,
    WasmException,
)
from farcall.engine.host.assembly_script import assembly_script_module
from farcall.engine.host.combined import CombinedModule
from farcall.engine.host.emscripten import EmscriptenModule
from farcall.engine.host.host_module import HostModule
from farcall.engine.inspection import CodeLine, FunctionInspection, Tier, inspect_function
from farcall.engine.instructions.instruction import features_named
from farcall.engine.interface import (
    AbstractEngine,
    FunctionDefinition,
    FunctionListener,
    ModuleEngine,
    TailCallListener,
)
from farcall.engine.jobs.limits import CompileLimits
from farcall.engine.jobs.progress import Cancellation, CompileProgress
from farcall.engine.runtime.bounded_calls import end_turn, ends_soon, is_compiled, try_turn
from farcall.engine.runtime.caller import Caller, ImportProvider
from farcall.engine.runtime.compiled_module import CompiledModule
from farcall.engine.runtime.function import Function, Invocation
from farcall.engine.runtime.global_variable import Global
from farcall.engine.runtime.host_function import HostFunction
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
from farcall.engine.tiers.policy import CodePolicy

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
    "AbortTrap",
    "AbstractEngine",
    "ArgumentError",
    "ArrayReference",
    "Artifact",
    "ArtifactError",
    "CacheConfiguration",
    "Caller",
    "Cancellation",
    "ClosedError",
    "CodeLine",
    "CodePolicy",
    "CombinedModule",
    "CompileCancelledError",
    "CompileLimitError",
    "CompileLimits",
    "CompileProgress",
    "CompiledModule",
    "CompilerCrashError",
    "EmscriptenModule",
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
    "FunctionInspection",
    "FunctionListener",
    "FunctionNotFoundError",
    "FunctionType",
    "Global",
    "GlobalType",
    "HostFailure",
    "HostFunction",
    "HostModule",
    "HostModuleError",
    "Import",
    "ImportFailedError",
    "ImportProvider",
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
    "MountError",
    "NameTakenError",
    "ObjectReference",
    "ProgramExit",
    "QueueFullError",
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
    "Tier",
    "Trap",
    "TrapKind",
    "UnsafeCacheKeyError",
    "UnsupportedFeatureError",
    "ValueType",
    "WasmException",
    "assembly_script_module",
    "check_trustworthy",
    "choose_target",
    "custom_section_problems",
    "decode_artifact",
    "encode_artifact",
    "end_turn",
    "ends_soon",
    "features_named",
    "inspect_function",
    "is_compiled",
    "known_cpus",
    "section_headers",
    "try_turn",
    "type_texts",
]
