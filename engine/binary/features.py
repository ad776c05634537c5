"""Features that are switched off: what of the binary format belongs to which.

Instructions name their feature in their row of the instruction table. What else belongs to one stands here, by the
function that reads it; where only the place says so (a section, a flag), the decoder calls `Reader.require`.
A set of features that are off is passed along as `disabled`. It is nearly always empty, and then costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from farcall.engine.binary.types import (
    BlockType,
    EncodedType,
    read_block_type,
    read_heap_type,
    read_reference_type,
    read_storage_type,
    read_value_type,
    read_value_types,
)
from farcall.engine.errors import UnsupportedFeatureError
from farcall.engine.instructions.instruction import Feature, Features
from farcall.engine.structure.defined_types import IndexedReference, PackedType, StorageType
from farcall.engine.structure.types import EXNREF, EXTERNREF, FUNCREF, V128, ReferenceType, ValueType

_Read = Callable[[bytes, int], tuple[Any, int]]

_FEATURE_OF_TYPE: dict[EncodedType, Feature] = {
    V128: Feature.SIMD,
    EXTERNREF: Feature.REFERENCE_TYPES,
    EXNREF: Feature.EXCEPTION_HANDLING,
}
"""Of types that can stand somewhere without that other things of their feature are there."""


def _of_value_type(value: EncodedType) -> Iterator[Feature]:
    if not isinstance(value, ValueType) or value.is_reference:
        yield Feature.REFERENCE_TYPES
    yield from _of_element_type(value)


def _of_element_type(value: EncodedType) -> Iterator[Feature]:
    feature = _FEATURE_OF_TYPE.get(value)
    if feature is not None:
        yield feature
    elif not isinstance(value, ReferenceType):
        if not isinstance(value, ValueType):
            if value.exact:
                yield Feature.CUSTOM_DESCRIPTORS
            yield Feature.FUNCTION_REFERENCES
    elif value is not FUNCREF:
        if not value.nullable:
            yield Feature.FUNCTION_REFERENCES
        if value.top == "exn":
            yield Feature.EXCEPTION_HANDLING
        if value.heap not in ("func", "extern", "exn"):
            yield Feature.GC


def _of_storage_type(value: StorageType | IndexedReference) -> Iterator[Feature]:
    if not isinstance(value, PackedType):
        yield from _of_value_type(value)


def _of_value_types(values: tuple[EncodedType, ...]) -> Iterator[Feature]:
    for value in values:
        yield from _of_value_type(value)


def _of_block_type(block_type: BlockType) -> Iterator[Feature]:
    if isinstance(block_type, int):
        yield Feature.MULTI_VALUE
    elif block_type is not None:
        yield from _of_value_type(block_type)


_FEATURES_OF: dict[_Read, Callable[[Any], Iterator[Feature]]] = {
    read_value_type: _of_value_type,
    read_value_types: _of_value_types,
    read_reference_type: _of_element_type,
    read_heap_type: _of_element_type,
    read_storage_type: _of_storage_type,
    read_block_type: _of_block_type,
}
"""The features of what is read, by the function that reads it."""


@cache
def gated(read: _Read, disabled: Features) -> _Read:
    """`read`, or where it can read what belongs to a disabled feature, the same with a refusal of that."""
    features_of = _FEATURES_OF.get(read)
    if not disabled or features_of is None:
        return read

    def read_gated(source: bytes, position: int) -> tuple[Any, int]:
        value, after = read(source, position)
        for feature in features_of(value):
            require(feature, disabled, position)
        return value, after

    return read_gated


def require(feature: Feature, disabled: Features, offset: int) -> None:
    """Refuse what stands at `offset` unless its feature is on. Raises UnsupportedFeatureError."""
    if feature in disabled:
        raise UnsupportedFeatureError(feature.value, offset)
