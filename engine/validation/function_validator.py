"""The stacks of the validation algorithm (appendix, section 7.3).

The algorithm's control frames hold the height of the operand stack and whether the rest of the block is
unreachable. Here both stand in the operand stack itself: below a block's operands lies a marker, `BASE`, or
`POLYMORPHIC` where code is unreachable. So the usual case, an operand of the expected type, needs one
comparison, and a frame is the same small object for all blocks of its kind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NoReturn

from farcall.engine.binary.limits import MAXIMUM_OPERANDS
from farcall.engine.errors import EngineBug
from farcall.engine.instructions.instruction import Instruction
from farcall.engine.structure.matching import BOTTOM
from farcall.engine.structure.module import FunctionBody
from farcall.engine.structure.types import FunctionType, ReferenceType, ValueType
from farcall.engine.validation.module_context import Control, ModuleContext
from farcall.engine.validation.rejection import BASE, LimitReached, Rejection, TypeMismatch, shorten
from farcall.engine.validation.type_lists import UNKNOWN, operand_fits

POLYMORPHIC = ValueType("anything", 0, 0, "")
"""Marker: no more operands, but as many of any type as are wanted, because this code is unreachable."""

_EXPANDED_LOCALS = 1000

_SHOWN_TYPES = 50
"""In a message, at most."""

_SHORT_LIST = 8
"""Types that are looked at one by one. Longer lists that are wanted live as long as the module: see `TypeLists`."""


class FunctionValidator:
    """The state while a function is validated; one object does for all functions of a module.

    Attributes:
        context: the module.
        operands: types on the operand stack, and markers.
        controls: open blocks, outermost first; the outermost is the function itself.
        markers: where the markers of the open blocks are among the operands.
        local_types: types of the first locals, parameters first; `local_type` knows all.
        readable_locals: the same for reading; where there are locals without a default value, it refuses those that
            are not set yet.
        unset_locals: what is known of such locals; None where there are none, as nearly always.
    """

    __slots__ = (
        "_body",
        "_ends",
        "_last_run",
        "context",
        "controls",
        "local_types",
        "markers",
        "operands",
        "readable_locals",
        "unset_locals",
    )

    def __init__(self, context: ModuleContext) -> None:
        self.context = context
        self.operands: list[ValueType] = []
        self.controls: list[Control] = []
        self.markers: list[int] = [0]
        self.local_types: list[ValueType] = []
        self.readable_locals: list[ValueType] = []
        self.unset_locals: UnsetLocals | None = None
        self._body: FunctionBody | None = None
        self._ends: list[int] = []
        # What fits in a run, of up to 10,000 operands, is likely to come again.
        self._last_run: tuple[list[ValueType], ValueType] | None = None

    def enter(self, body: FunctionBody) -> None:
        """Begin with a function."""
        function_type = self.context.functions[body.index]
        self._body = body
        self._ends = []
        self.local_types = types = list(function_type.parameters)
        for count, value in body.locals:
            # A run takes few bytes and can be long, in each of many functions: write out the first only.
            room = _EXPANDED_LOCALS - len(types)
            if room <= 0:
                break
            types += [value] * min(count, room)
        self.readable_locals = types
        self.unset_locals = None
        if not all(value.defaultable for _, value in body.locals):
            self.unset_locals = UnsetLocals(self, len(function_type.parameters))
            self.readable_locals = CheckedLocals(self.unset_locals)
        self.controls = [Control("function", FunctionType((), function_type.results))]
        self.operands = [BASE]
        self.markers = [0]

    def local_type(self, index: int) -> ValueType:
        """The type of a local.

        Raises:
            Rejection: there is no local of that index.
        """
        if index < len(self.local_types):
            return self.local_types[index]
        assert self._body is not None
        runs = self._body.locals
        if not self._ends:
            parameters = len(self.context.functions[self._body.index].parameters)
            self._ends = list(accumulate([count for count, _ in runs], initial=parameters))
        run = bisect_right(self._ends, index) - 1
        if run >= len(runs):
            raise Rejection(f"unknown local {index}")
        return runs[run][1]

    def pop(self, expected: ValueType) -> None:
        """Take an operand of a type off the stack."""
        found = self.operands.pop()
        if found is not expected:
            self.accept(found, expected)

    def accept(self, found: ValueType, expected: ValueType) -> None:
        """Decide about what was taken off the stack and is not plainly of the expected type."""
        if found is POLYMORPHIC:
            self.operands.append(POLYMORPHIC)
        elif not operand_fits(found, expected):
            raise TypeMismatch(expected, found)

    def pop_any(self) -> ValueType:
        """Take an operand of any type off the stack and return its type, which may be `UNKNOWN`."""
        found = self.operands.pop()
        if found is BASE:
            raise TypeMismatch(None, BASE)
        if found is POLYMORPHIC:
            self.operands.append(POLYMORPHIC)
            return UNKNOWN
        return found

    def pop_reference(self, row: Instruction) -> ReferenceType:
        """Take a reference of any type off the stack; its type, which may be `BOTTOM`."""
        found = self.pop_any()
        if found is UNKNOWN:
            return BOTTOM
        if not isinstance(found, ReferenceType):
            raise Rejection(f"type mismatch: {row.name} expected a reference, found {found.name}")
        return found

    def pop_all(self, types: tuple[ValueType, ...]) -> None:
        """Take operands of these types off the stack; the last is on top."""
        count = self.match(types)
        if count:
            del self.operands[-count:]

    def match(self, types: tuple[ValueType, ...]) -> int:
        """Check that operands of these types are on top, and return how many there are before the marker."""
        operands = self.operands
        count = len(types)
        if not count or (operands[-1] is types[0] if count == 1 else tuple(operands[-count:]) == types):
            return count
        return self._match_otherwise(types)

    def _match_otherwise(self, types: tuple[ValueType, ...]) -> int:
        """The same for what are not plainly operands of these types."""
        operands = self.operands
        if len(types) <= _SHORT_LIST:
            for taken, expected in enumerate(reversed(types)):
                found = operands[-1 - taken]
                if found is POLYMORPHIC:
                    return taken
                if found is not expected and not operand_fits(found, expected):
                    raise TypeMismatch(expected, found)
            return len(types)
        present = min(len(types), self._present())
        if present < len(types) and operands[-1 - present] is BASE:
            self._refuse(types)
        if present and not self.context.type_lists.operands_match(tuple(operands[-present:]), types):
            self._refuse(types)
        return present

    def _present(self) -> int:
        """How many operands the innermost block has; where code is unreachable, any may come after them."""
        return len(self.operands) - 1 - self.markers[-1]

    def _refuse(self, types: Sequence[ValueType]) -> NoReturn:
        """Say which operand has not the type, of those that should be on top."""
        for found, expected in zip(reversed(self.operands), reversed(types), strict=False):
            if not operand_fits(found, expected):
                raise TypeMismatch(expected, found)
        raise EngineBug("operands that match are refused")

    def pop_run(self, expected: ValueType, count: int) -> None:
        """Take so many operands of one type off the stack."""
        operands = self.operands
        present = min(count, self._present())
        run = operands[-present:] if present else []
        if (run, expected) != self._last_run:
            for found in dict.fromkeys(reversed(run)):
                if not operand_fits(found, expected):
                    raise TypeMismatch(expected, found)
            self._last_run = run, expected
        if present < count and operands[-1 - present] is BASE:
            raise TypeMismatch(expected, BASE)
        if present:
            del operands[-present:]

    def retype(self, types: tuple[ValueType, ...]) -> None:
        """Take operands of these types off the stack and put them back as being of these types."""
        operands = self.operands
        count = len(types)
        if count and tuple(operands[-count:]) != types:
            present = self._match_otherwise(types)
            if present:
                del operands[-present:]
            self.push_all(types)

    def push_all(self, types: tuple[ValueType, ...]) -> None:
        """Put operands of these types on the stack.

        Raises:
            LimitReached: the stack would hold more than any compiler could use.
        """
        self.operands += types
        if len(self.operands) > MAXIMUM_OPERANDS and len(types) > 1:
            raise LimitReached(f"more than {MAXIMUM_OPERANDS} values on the operand stack")

    def push_control(self, control: Control) -> None:
        """Open a block whose parameters are on the stack."""
        if control.type.parameters:
            self.pop_all(control.type.parameters)
        self.open(control)

    def open(self, control: Control, operands: tuple[ValueType, ...] | None = None) -> None:
        """Open a block whose parameters were taken off the stack: they, or `operands`, become its own operands."""
        self.controls.append(control)
        self.markers.append(len(self.operands))
        self.operands.append(BASE)
        if self.unset_locals is not None:
            self.unset_locals.open()
        first = control.type.parameters if operands is None else operands
        if first:
            self.push_all(first)

    def pop_control(self) -> Control:
        """Close the innermost block, whose results, and nothing else, must be on the stack."""
        control = self.controls[-1]
        results = control.type.results
        if results:
            self.pop_all(results)
        if len(self.operands) - 1 != self.markers[-1]:
            left = [*self.operands[self.markers[-1] + 1 :][:_SHOWN_TYPES], *results]
            wanted, found = (
                shorten(" ".join([value.name for value in types[:_SHOWN_TYPES]])) for types in (results, left)
            )
            raise Rejection(f"type mismatch: block requires [{wanted}] but stack has [{found}]")
        self.operands.pop()
        self.controls.pop()
        self.markers.pop()
        if self.unset_locals is not None and self.controls:
            self.unset_locals.close()
        return control

    def set_unreachable(self) -> None:
        """Forget the block's operands: what follows can take any."""
        marker = self.markers[-1]
        self.operands[marker] = POLYMORPHIC
        del self.operands[marker + 1 :]

    def label(self, depth: int) -> Control:
        """The block that a label stands for, counted from the innermost.

        Raises:
            Rejection: there are not so many blocks.
        """
        if depth >= len(self.controls):
            raise Rejection(f"unknown label {depth}")
        return self.controls[-1 - depth]


class UnsetLocals:
    """Which locals without a default value have been set (section 3.4.8 and appendix, section 7.3).

    What a block sets counts in that block only: control may have come to its end, or out of it, without setting it.
    """

    __slots__ = ("_heights", "_parameters", "_set", "_validator")

    def __init__(self, validator: FunctionValidator, parameters: int) -> None:
        self._validator = validator
        self._parameters = parameters
        self._set: dict[int, None] = {}  # in the order of setting
        self._heights: list[int] = []  # how many were set when each open block was opened

    def open(self) -> None:
        """A block begins."""
        self._heights.append(len(self._set))

    def close(self) -> None:
        """The innermost block ends."""
        height = self._heights.pop()
        while len(self._set) > height:
            self._set.popitem()

    def set(self, index: int) -> None:
        """A local is set."""
        if index not in self._set and not self._validator.local_type(index).defaultable:
            self._set[index] = None

    def readable_type(self, index: int) -> ValueType:
        """The type of a local that is to be read.

        Raises:
            Rejection: there is no such local, or it may not have been set.
        """
        found = self._validator.local_type(index)
        if index >= self._parameters and index not in self._set and not found.defaultable:
            raise Rejection(f"uninitialized local {index}: a {found.name} has no default value")
        return found


class CheckedLocals(list[ValueType]):
    """Reads like a list of locals' types, but through `UnsetLocals`."""

    def __init__(self, unset: UnsetLocals) -> None:
        super().__init__()
        self._unset = unset

    def __getitem__(self, index: Any) -> Any:
        return self._unset.readable_type(index)
