"""Modules (section 3.4): what is declared, and then every function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from farcall.engine.binary.body_syntax import check_body_syntax
from farcall.engine.binary.features import require
from farcall.engine.errors import InvalidModuleError, UnsupportedFeatureError
from farcall.engine.instructions.instruction import NONE_DISABLED, Feature, Features
from farcall.engine.structure.matching import value_matches
from farcall.engine.structure.module import ConstantExpression, DataSegment, ElementSegment, Module
from farcall.engine.structure.packed import FunctionElements
from farcall.engine.structure.types import (
    I32,
    I64,
    USUAL_PAGE_SIZE,
    ExternKind,
    Limits,
    MemoryType,
    TableType,
)
from farcall.engine.validation.constant_expression import validate_constant_expression
from farcall.engine.validation.function_body import validate_body
from farcall.engine.validation.function_validator import FunctionValidator
from farcall.engine.validation.module_context import ModuleContext, distinct
from farcall.engine.validation.native import undecided_bodies
from farcall.engine.validation.rejection import shorten
from farcall.engine.validation.types import validate_types

_PAGE_SIZES = (1, USUAL_PAGE_SIZE)

_INDEX_BITS = {I32: 32, I64: 64}


def validate_module(module: Module, disabled: Features = NONE_DISABLED, *, native: bool = True) -> None:
    """Validate a decoded module; its function bodies are read for the first time here.

    Parameters:
        module: decoded with the same features.
        disabled: features that are switched off.
        native: whether machine code may decide about functions that are as usual, which makes no difference but in
            time, and in `module.facts`.

    Raises:
        InvalidModuleError: the module is invalid (specification, chapter 3).
        ModuleLimitError: a function needs more than `binary.limits` allows.
        MalformedModuleError: the bytes of a function body are no code; that goes before anything invalid.
        UnsupportedFeatureError: the module uses a feature that is not there or switched off.
    """
    # By position among the module's own functions: those of which it is not known yet that they are well-formed.
    unknown: Sequence[int] = range(len(module.functions))
    validated = 0
    try:
        context = _validate_declarations(module, disabled)
        if native:
            unknown = undecided_bodies(context)
        state = FunctionValidator(context)
        for position in unknown:
            validate_body(state, module.functions[position])
            validated += 1
    except InvalidModuleError:
        for position in unknown[validated:]:
            check_body_syntax(module.source, module.functions[position], module.data_count, disabled)
        raise


def _validate_declarations(module: Module, disabled: Features) -> ModuleContext:
    validate_types(module)
    _check_type_indices(module)
    context = ModuleContext(module, disabled)
    for table, offset in zip(module.tables, _offsets(module, ExternKind.TABLE), strict=True):
        _check_table(table, offset)
    _check_table_initializers(context)
    for memory, offset in zip(module.memories, _offsets(module, ExternKind.MEMORY), strict=True):
        _check_memory(memory, offset)
    _check_memory_count(context)
    _check_tags(module)
    imported = len(module.global_types) - len(module.globals)
    for index, entry in enumerate(module.globals, start=imported):
        validate_constant_expression(context, entry.initializer, entry.type.value, index)
    _check_table_count(context)
    _check_exports(context)
    _check_start(context)
    for element in module.elements:
        _check_element_segment(context, element)
    segments: Iterable[DataSegment] = module.data
    if context.memory_indices and context.memory_indices[0] is I32:
        segments = module.data.others.values()  # nothing is wrong with the usual ones
    for data in segments:
        _check_data_segment(context, data)
    return context


def _offsets(module: Module, kind: ExternKind) -> list[int]:
    """Where the entries of an index space stand, imports first."""
    own = {
        ExternKind.FUNCTION: module.offsets.functions,
        ExternKind.TABLE: module.offsets.tables,
        ExternKind.MEMORY: module.offsets.memories,
        ExternKind.TAG: module.offsets.tags,
    }
    return [entry.offset for entry in module.imported(kind)] + list(own[kind])


def _check_type_indices(module: Module) -> None:
    known = {index for index, defined in enumerate(module.defined_types) if defined.kind == "func"}
    for kind, indices in ((ExternKind.FUNCTION, module.function_types), (ExternKind.TAG, module.tag_types)):
        if known.issuperset(indices):
            continue
        for index, offset in zip(indices, _offsets(module, kind), strict=True):
            if index >= len(module.defined_types):
                raise InvalidModuleError(f"unknown type {index}", offset)
            if index not in known:
                found = shorten(str(module.defined_types[index]))
                raise InvalidModuleError(
                    f"type mismatch: type {index} of a {kind.name.lower()} is {found}", offset
                )


def _check_limits(limits: Limits, bound: int, reason: str, offset: int) -> None:
    """Section 3.2.1."""
    if limits.minimum > bound or (limits.maximum is not None and limits.maximum > bound):
        raise InvalidModuleError(f"{reason}: {limits}", offset)
    if limits.maximum is not None and limits.minimum > limits.maximum:
        reason = f"size minimum must not be greater than maximum: {limits}"
        raise InvalidModuleError(reason, offset)


def _check_table(table: TableType, offset: int) -> None:
    bits = _INDEX_BITS[table.index_type]
    reason = f"table size must be at most 2**{bits} - 1 elements"
    _check_limits(table.limits, (1 << bits) - 1, reason, offset)


def _check_table_initializers(context: ModuleContext) -> None:
    """Section 3.5.7: elements must have a first value. Globals come later, so only imported ones are known."""
    module = context.module
    imported = len(module.tables) - len(module.table_initializers)
    imported_globals = len(module.global_types) - len(module.globals)
    for table, initializer, offset in zip(
        module.tables[imported:], module.table_initializers, module.offsets.tables, strict=True
    ):
        if initializer is not None:
            validate_constant_expression(context, initializer, table.element, imported_globals)
        elif not table.element.nullable:
            reason = f"type mismatch: elements of {table.element.name} have no default value"
            raise InvalidModuleError(reason, offset)


def _check_memory(memory: MemoryType, offset: int) -> None:
    if memory.page_size not in _PAGE_SIZES:
        raise InvalidModuleError(
            f"invalid custom page size: {memory.page_size} bytes, 1 and {USUAL_PAGE_SIZE} are possible",
            offset,
        )
    bits = _INDEX_BITS[memory.index_type]
    # The size in pages must be a number of the index type.
    most = min((1 << bits) // memory.page_size, (1 << bits) - 1)
    room = f"memory size must be at most {most} pages"
    _check_limits(memory.limits, most, f"{room} (4GiB)" if most == 1 << 16 else room, offset)
    if memory.shared and memory.limits.maximum is None:
        raise InvalidModuleError("shared memory must have maximum", offset)


def _check_tags(module: Module) -> None:
    """Section 3.2.11."""
    for index, offset in zip(module.tag_types, _offsets(module, ExternKind.TAG), strict=True):
        function_type = module.signature(index)
        if function_type.results:
            raise InvalidModuleError(f"non-empty tag result type: {shorten(str(function_type))}", offset)


def _check_memory_count(context: ModuleContext) -> None:
    """Up to version 2.0 there is at most one memory."""
    if len(context.module.memories) > 1 and Feature.MULTI_MEMORY in context.disabled:
        second = _offsets(context.module, ExternKind.MEMORY)[1]
        raise UnsupportedFeatureError(Feature.MULTI_MEMORY.value, second, detail="multiple memories")


def _check_table_count(context: ModuleContext) -> None:
    """The first version has at most one table."""
    if len(context.module.tables) > 1 and Feature.REFERENCE_TYPES in context.disabled:
        second = _offsets(context.module, ExternKind.TABLE)[1]
        raise UnsupportedFeatureError(Feature.REFERENCE_TYPES.value, second, detail="multiple tables")


def _check_exports(context: ModuleContext) -> None:
    module = context.module
    spaces = {
        ExternKind.FUNCTION: ("function", len(module.function_types)),
        ExternKind.TABLE: ("table", len(module.tables)),
        ExternKind.MEMORY: ("memory", len(module.memories)),
        ExternKind.GLOBAL: ("global", len(module.global_types)),
        ExternKind.TAG: ("tag", len(module.tag_types)),
    }
    names: set[str] = set()
    for export in module.exports:
        what, count = spaces[export.kind]
        name = shorten(repr(export.name))
        if export.index >= count:
            raise InvalidModuleError(f"unknown {what} {export.index}: exported as {name}", export.offset)
        if export.name in names:
            raise InvalidModuleError(f"duplicate export name: {name}", export.offset)
        names.add(export.name)
        if export.kind is ExternKind.GLOBAL and module.global_types[export.index].mutable:
            require(Feature.MUTABLE_GLOBALS, context.disabled, export.offset)


def _check_start(context: ModuleContext) -> None:
    module = context.module
    if module.start is None:
        return
    if module.start >= len(context.functions):
        raise InvalidModuleError(f"unknown function {module.start}: the start function", module.offsets.start)
    start_type = context.functions[module.start]
    if start_type.parameters or start_type.results:
        found = f"function {module.start} is {shorten(str(start_type))}"
        reason = f"start function must take and return nothing: {found}"
        raise InvalidModuleError(reason, module.offsets.start)


def _check_element_segment(context: ModuleContext, segment: ElementSegment) -> None:
    module = context.module
    globals_known = len(module.global_types)
    # Elements given as functions are of the segment's type, if the functions are there.
    for initializer in [] if _are_functions(segment.initializers) else distinct(segment.initializers):
        validate_constant_expression(context, initializer, segment.type, globals_known)
    if segment.table_offset is None:
        return
    if segment.table >= len(module.tables):
        raise InvalidModuleError(f"unknown table {segment.table}", segment.offset)
    element = module.tables[segment.table].element
    if not value_matches(segment.type, element):
        raise InvalidModuleError(
            f"type mismatch: elements of {segment.type.name} for a table of {element.name}", segment.offset
        )
    index_type = module.tables[segment.table].index_type
    validate_constant_expression(context, segment.table_offset, index_type, globals_known)


def _are_functions(elements: Sequence[ConstantExpression]) -> bool:
    """Whether elements are given as functions, all of which are there."""
    if not isinstance(elements, FunctionElements):
        return False
    return max(elements.indices, default=-1) < elements.function_count


def _check_data_segment(context: ModuleContext, segment: DataSegment) -> None:
    module = context.module
    if segment.memory_offset is None:
        return
    if segment.memory >= len(module.memories):
        raise InvalidModuleError(f"unknown memory {segment.memory}", segment.offset)
    index_type = module.memories[segment.memory].index_type
    validate_constant_expression(context, segment.memory_offset, index_type, len(module.global_types))
