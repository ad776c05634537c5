"""What the server tells about modules, stores, instances and itself, as plain data.

Both clients return these. Their texts (`str()`) are the words of the server's error messages and of
`farcall inspect`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ValueType(StrEnum):
    """A value type, by the text format's name (specification, section 2.3.5)."""

    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    V128 = "v128"
    FUNCREF = "funcref"
    EXTERNREF = "externref"
    EXNREF = "exnref"


class ReferenceType(str):
    """Another reference type, by its name: to a structure, an array, a function of a certain type..."""

    __slots__ = ()


AnyValueType = ValueType | ReferenceType


@dataclass(frozen=True, slots=True)
class FunctionType:
    """Types of a function's parameters and results."""

    parameters: tuple[AnyValueType, ...]
    results: tuple[AnyValueType, ...]

    def __str__(self) -> str:
        return f"function ({', '.join(self.parameters)}) -> ({', '.join(self.results)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a memory (in pages) or a table (in elements); `maximum` is None where there is none."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        return str(self.minimum) if self.maximum is None else f"{self.minimum}..{self.maximum}"


_USUAL_PAGE_SIZE = 65536


@dataclass(frozen=True, slots=True)
class MemoryType:
    """A memory's type; `page_size` is in bytes: 1 or 65536."""

    limits: Limits
    shared: bool = False
    index_type: ValueType = ValueType.I32
    page_size: int = _USUAL_PAGE_SIZE

    def __str__(self) -> str:
        unit = "pages" if self.page_size == _USUAL_PAGE_SIZE else "pages of 1 byte"
        return f"memory {self.index_type} {self.limits} {unit}{' shared' if self.shared else ''}"


@dataclass(frozen=True, slots=True)
class TableType:
    """A table's type."""

    element: AnyValueType
    limits: Limits
    index_type: ValueType = ValueType.I32

    def __str__(self) -> str:
        index = "i64 " if self.index_type is ValueType.I64 else ""
        return f"table {index}{self.limits} {self.element}"


@dataclass(frozen=True, slots=True)
class GlobalType:
    """A global's type."""

    value: AnyValueType
    mutable: bool

    def __str__(self) -> str:
        return f"global mut {self.value}" if self.mutable else f"global {self.value}"


@dataclass(frozen=True, slots=True)
class TagType:
    """A tag's type: what its exceptions carry."""

    parameters: tuple[ValueType, ...]

    def __str__(self) -> str:
        return f"tag ({', '.join(self.parameters)})"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that an instance exports, for other instances to import."""

    name: str
    type: TagType


ExternType = FunctionType | TableType | MemoryType | GlobalType | TagType
"""What can be imported and exported (specification, section 2.3.11)."""


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A function that a funcref refers to.

    As an argument, `instance` and `function` say it: a resource name and the name of an export. (A
    `Function` of a client can be passed as well.) As a result, `function` may also be a name from the name
    section, and where the instance has been closed, `instance` is empty.
    """

    instance: str
    function: str
    function_index: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A structure, array or the like that a result refers to. It stays on the server, and cannot be an argument."""

    description: str


Value = int | float | bytes | FunctionReference | ObjectReference | None
"""A WebAssembly value in Python: i32 and i64 in the signed range; a v128 is 16 bytes, the first lane first and lanes
little-endian, as in a memory; an externref is a number of the caller's choice (unsigned, 64 bits) or None; a funcref
is a `FunctionReference` or None; an i31 is an int."""

Argument = Any
"""A `Value`, or what Python can turn into one without loss (an int of numpy, a `Function` of a client)."""

Results = Any
"""What a call gives: None for no result, the `Value` for one, a tuple of them for several."""


@dataclass(frozen=True, slots=True)
class Import:
    """Something that a module needs from outside."""

    module: str
    name: str
    type: ExternType


@dataclass(frozen=True, slots=True)
class Export:
    """Something that instances of a module offer."""

    name: str
    type: ExternType


@dataclass(frozen=True, slots=True)
class Section:
    """A section; `offset` (in bytes from the start of the module) and `size` are those of its content."""

    id: int
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class CustomSection:
    """A custom section; `size` and `content` are without the name; `content` is None where not asked for."""

    name: str
    size: int
    content: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module that the server keeps.

    Attributes:
        digest: SHA-256 of its bytes in lower-case hexadecimal: its name.
        size: of its bytes.
        create_time: when its upload was completed.
        module_name: what it calls itself in its name section, or None.
        imports: in the module's order; like all below empty in lists.
        exports: in the module's order.
        types: its function types.
        type_texts: all its types in the text format, by index.
        sections: all of them, in the order of the bytes.
        custom_sections: in the order of the bytes.
    """

    digest: str
    size: int
    create_time: datetime | None = None
    module_name: str | None = None
    imports: tuple[Import, ...] = ()
    exports: tuple[Export, ...] = ()
    types: tuple[FunctionType, ...] = ()
    type_texts: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    custom_sections: tuple[CustomSection, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UploadedModule(Module):
    """A module, and what its upload did.

    Attributes:
        created: whether the server did not have it before.
        compiled: whether this upload compiled it.
        compile_seconds: time that the server spent on decoding, validating and compiling.
    """

    created: bool = False
    compiled: bool = False
    compile_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileProgress:
    """How far compiling a module is.

    Attributes:
        functions: how many functions it defines.
        functions_done: how many of them are compiled.
        optimized: how many of these are optimised.
        fast: how many are not.
        code_size: bytes of all their bodies.
        code_size_done: bytes of the bodies of those that are compiled.
        done: whether all is done.
    """

    functions: int
    functions_done: int
    optimized: int
    fast: int
    code_size: int
    code_size_done: int
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What the server tells about a store.

    Attributes:
        name: the store's own name, for instance `default`.
        create_time: when it was created.
        instance_count: how many instances are open in it.
        max_instances: how many can be.
        max_memory_pages: pages (of 64 KiB) that all its memories can have together.
        max_table_elements: elements that each of its tables can have.
    """

    name: str
    create_time: datetime | None
    instance_count: int
    max_instances: int | None
    max_memory_pages: int | None
    max_table_elements: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """How imports of an instance are resolved; names as in `Store.instantiate`'s `links`."""

    import_module: str
    import_name: str | None
    instance: str
    export_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceInfo:
    """What the server tells about an instance.

    Attributes:
        name: its own name in its store.
        store: the store's name.
        module: the digest of its module.
        links: how its imports were resolved.
        create_time: when it was instantiated.
        exports: what it exports; empty in lists.
    """

    name: str
    store: str
    module: str
    links: tuple[Link, ...]
    create_time: datetime | None
    exports: tuple[Export, ...]


@dataclass(frozen=True, slots=True)
class InstanceOutput:
    """What an instance wrote since the last time.

    Attributes:
        stdout: to standard output.
        stderr: to standard error.
        discarded_stdout: bytes of standard output that were discarded after these.
        discarded_stderr: bytes of standard error that were discarded after these.
    """

    stdout: bytes
    stderr: bytes
    discarded_stdout: int
    discarded_stderr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a server allows; sizes in bytes, times in seconds."""

    max_message_bytes: int
    max_module_bytes: int
    max_modules: int
    max_stores: int
    max_pending_calls_per_instance: int
    default_call_timeout: float
    max_call_timeout: float
    max_programs: int
    max_program_timeout: float
    max_mounted_bytes: int
    host_directories: tuple[str, ...]
    host_modules: tuple[str, ...]


class CodeTier(StrEnum):
    """Whose code is shown: that of the fast tier, or of the optimising one."""

    FAST = "fast"
    OPTIMIZED = "optimized"


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of one form of a function.

    Attributes:
        offset: of the instruction that it belongs to, in bytes from the start of the module; None where that is none.
        text: the line.
        address: of machine code: bytes from the start of the function's object; None elsewhere.
        content: machine code's bytes; empty elsewhere.
    """

    offset: int | None
    text: str
    address: int | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """A function in all its forms.

    Attributes:
        index: in the module's function index space.
        name: from the name section or an export, or None.
        tier: whose code it is: the fast tier's also where the function is too complex to be optimised, or too large
            to be optimised only to be looked at.
        target: the machine, as LLVM's target triple.
        wasm: instructions in the text format, after the function's signature.
        lowered: LLVM IR as it is made from them.
        passed: LLVM IR after the passes, which the fast tier has none of.
        machine: assembly.
    """

    index: int
    name: str | None
    tier: CodeTier
    target: str
    wasm: tuple[CodeLine, ...]
    lowered: tuple[CodeLine, ...]
    passed: tuple[CodeLine, ...]
    machine: tuple[CodeLine, ...]


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """What a tier has compiled since the server started: functions, bytes of machine code, seconds that it took."""

    tier: str
    functions: int
    code_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CachePlaceStatistics:
    """A place of the cache: look-ups that found an entry, none, or one that was refused; what it holds."""

    place: str
    hits: int
    misses: int
    rejected: int
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class CompileQueueStatistics:
    """Compile jobs: those that wait and run now, those that were cancelled or failed."""

    waiting: int
    running: int
    cancelled: int
    failed: int


@dataclass(frozen=True, slots=True)
class ModuleCodeStatistics:
    """A module's functions by what code they have, and bytes of mapped code."""

    module: str
    uncompiled: int
    fast: int
    optimized: int
    code_bytes: int


@dataclass(frozen=True, slots=True)
class CompilationStatistics:
    """What a server has compiled, caches, and is about to compile."""

    tiers: tuple[TierStatistics, ...]
    cache_places: tuple[CachePlaceStatistics, ...]
    queue: CompileQueueStatistics
    modules: tuple[ModuleCodeStatistics, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server is and does.

    Attributes:
        version: farcall's.
        target: the machine that code is compiled for, as LLVM's target triple.
        features: WebAssembly features that modules may use.
        start_time: when the server started.
        limits: what it allows.
        counters: what there is and what has been done, by the names of `farcall.v1.ServerCounters`; those
            of the engine begin with `engine.`.
        compilation: what has been compiled, is cached, and waits to be compiled.
    """

    version: str
    target: str
    features: tuple[str, ...]
    start_time: datetime | None
    limits: ServerLimits
    counters: dict[str, int]
    compilation: CompilationStatistics
