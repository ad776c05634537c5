"""What the rules know of the module around the code: the context C of section 3.1.1."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from farcall.engine.binary.types import BlockType, EncodedType
from farcall.engine.instructions.instruction import NONE_DISABLED, Features
from farcall.engine.structure.defined_types import DefinedType, FieldType, IndexedReference, StructType
from farcall.engine.structure.module import ConstantExpression, Module
from farcall.engine.structure.packed import FunctionElements
from farcall.engine.structure.types import ExternKind, FunctionType, ReferenceType, ValueType
from farcall.engine.validation.rejection import Rejection
from farcall.engine.validation.type_lists import TypeLists


class Control:
    """A kind of control frame (appendix, section 7.3): where it stands on the stack is not part of it.

    Attributes:
        opener: name of the instruction that opened it; `function` for a body.
        type: what it takes and leaves on the operand stack.
        label_types: what a branch to its label takes.
        alternative: of an `if`, the frame of its `else`.
    """

    __slots__ = ("alternative", "label_types", "opener", "type")

    def __init__(self, opener: str, block_type: FunctionType) -> None:
        self.opener = opener
        self.type = block_type
        self.label_types = block_type.parameters if opener == "loop" else block_type.results
        self.alternative = Control("else", block_type) if opener == "if" else None


class Controls(dict[BlockType, Control]):
    """The control frames of one opener by block type, made when first asked for."""

    def __init__(self, opener: str, context: ModuleContext) -> None:
        super().__init__()
        self._opener = opener
        self._context = weakref.proxy(context)  # which has these: no cycle shall keep modules from going

    def __missing__(self, block_type: BlockType) -> Control:
        if block_type is None:
            function_type = FunctionType((), ())
        elif isinstance(block_type, int):
            function_type = self._context.function_type(block_type)
        else:
            function_type = FunctionType((), (self._context.value_type(block_type),))
        control = self[block_type] = Control(self._opener, function_type)
        return control


def _fields(module: Module, index: int) -> tuple[FieldType, ...]:
    composite = module.defined_types[index].composite
    assert isinstance(composite, StructType)
    return composite.fields


class FieldTypes(dict[int, tuple[ValueType, ...]]):
    """`ModuleContext.field_types`, made when first asked for: there may be 10,000 of a structure."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._module = module

    def __missing__(self, index: int) -> tuple[ValueType, ...]:
        self[index] = types = tuple([field.unpacked for field in _fields(self._module, index)])
        return types


class FieldsWithoutDefault(dict[int, FieldType | None]):
    """`ModuleContext.field_without_default`, found when first asked for."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._module = module

    def __missing__(self, index: int) -> FieldType | None:
        fields = _fields(self._module, index)
        self[index] = found = next((field for field in fields if not field.unpacked.defaultable), None)
        return found


class ModuleContext:
    """The context that all functions of a module share.

    Attributes:
        module: the module.
        disabled: features that are switched off.
        functions: the type of every function, imports first.
        declared_functions: those that `ref.func` may name in code, because something outside of code does
            (section 3.4.10, refs).
        memory_indices: the index type of every memory.
        blocks, loops, ifs, tries: control frames, so that equal ones are one object.
        type_lists: which lists of types match which.
        field_types: types of the values in each structure's fields, by the type's index.
        field_without_default: of each structure, the first field whose type has no default value, by the type's index.
    """

    __slots__ = (
        "__weakref__",
        "_inexact_functions",
        "blocks",
        "declared_functions",
        "disabled",
        "field_types",
        "field_without_default",
        "functions",
        "ifs",
        "loops",
        "memory_indices",
        "module",
        "tries",
        "type_lists",
    )

    def __init__(self, module: Module, disabled: Features = NONE_DISABLED) -> None:
        self.module = module
        self.disabled = disabled
        signatures = {index: module.signature(index) for index in set(module.function_types)}
        self.functions = [signatures[index] for index in module.function_types]
        self.declared_functions = _declared_functions(module)
        imported = enumerate(module.imported(ExternKind.FUNCTION))
        self._inexact_functions = frozenset([index for index, entry in imported if not entry.exact])
        self.memory_indices = [memory.index_type for memory in module.memories]
        self.blocks = Controls("block", self)
        self.loops = Controls("loop", self)
        self.ifs = Controls("if", self)
        self.tries = Controls("try", self)
        self.type_lists = TypeLists()
        self.field_types = FieldTypes(module)
        self.field_without_default = FieldsWithoutDefault(module)

    def defined_type(self, index: int) -> DefinedType:
        """The type of that index. Raises Rejection if there is none."""
        if index >= len(self.module.defined_types):
            raise Rejection(f"unknown type {index}")
        return self.module.defined_types[index]

    def function_reference(self, index: int) -> ReferenceType:
        """The type of references to function `index`: exact, but of imports that may be of a subtype."""
        exact = index not in self._inexact_functions
        return self.module.function_definition(index).reference(nullable=False, exact=exact)

    def function_type(self, index: int) -> FunctionType:
        """The function type of that index. Raises Rejection if there is none, or it is another kind of type."""
        composite = self.defined_type(index).composite
        if not isinstance(composite, FunctionType):
            raise Rejection(f"type mismatch: type {index} is no function type but {self.defined_type(index)}")
        return composite

    def value_type(self, encoded: EncodedType) -> ValueType:
        """The value type that stands in the code. Raises Rejection if it refers to a type that is not there."""
        if isinstance(encoded, IndexedReference):
            return self.defined_type(encoded.index).reference(encoded.nullable, encoded.exact)
        return encoded


def distinct(expressions: Sequence[ConstantExpression]) -> list[ConstantExpression]:
    """Each object once, in order: the decoder gives equal initial elements as one object, or keeps them packed."""
    if isinstance(expressions, FunctionElements):
        return expressions.distinct()
    return list({id(expression): expression for expression in expressions}.values())


def _declared_functions(module: Module) -> frozenset[int]:
    expressions = [entry.initializer for entry in module.globals]
    expressions += [initializer for initializer in module.table_initializers if initializer is not None]
    declared = {export.index for export in module.exports if export.kind is ExternKind.FUNCTION}
    for segment in module.elements:
        if isinstance(segment.initializers, FunctionElements):
            declared.update(segment.initializers.indices)
        else:
            expressions.extend(distinct(segment.initializers))
    for expression in expressions:
        for instruction in expression.instructions:
            if instruction.name == "ref.func":
                index = instruction.immediates[0]
                assert isinstance(index, int)
                declared.add(index)
    return frozenset(declared)
