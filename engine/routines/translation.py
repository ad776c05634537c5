"""Routines to LLVM IR: the subset of Python that a routine may be written in, and what becomes of it.

A routine is a function of integers that returns an integer. It has assignments to names, `if`, `while`, `match`
over constants, `break`, `continue`, `return`; arithmetic, comparisons, `and`, `or`, `not`, `in` of a tuple (which
evaluates what is on its left for each entry), conditional expressions, `int` of a comparison;
calls of other routines and of what `routines.memory` has. Every value is a signed integer of 64 bits that wraps, `>>`
shifts zeros in, and names that are not the routine's own are constants. Anything else is refused with the line.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from farcall.engine.routines.memory import LOADS, STORES

F = TypeVar("F", bound=Callable[..., int])

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.LShift: "shl",
    ast.RShift: "lshr",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "slt",
    ast.LtE: "sle",
    ast.Gt: "sgt",
    ast.GtE: "sge",
}

_MARK = "__routine__"


def routine(function: F) -> F:
    """Say that a function is a routine. It stays what it is in Python.

    Raises:
        OSError: the source of its module is not there.
    """
    _source(function.__module__)  # now: later, the file may be that of another version
    vars(function)[_MARK] = True
    return function


class UnsupportedCodeError(SyntaxError):
    """A routine has something that is not of the subset. A defect of the routine, seen when it is translated first."""


def routine_texts(entries: tuple[Callable[..., int], ...]) -> str:
    """LLVM IR of routines and of all that they call.

    Raises:
        UnsupportedCodeError: one of them is not in the subset.
    """
    texts: dict[str, str] = {}
    pending = list(entries)
    while pending:
        function = pending.pop()
        if function.__name__ in texts:
            continue
        translation = _Translation(function, internal=function not in entries)
        texts[function.__name__] = translation.text()
        pending += translation.called
    return "\n".join(texts.values())


class _Translation:
    """One routine on its way to text."""

    def __init__(self, function: Callable[..., int], internal: bool) -> None:
        self.called: list[Callable[..., int]] = []
        self._function = function
        self._globals = vars(sys.modules[function.__module__])
        self._tree = tree = _definitions(function.__module__)[function.__name__]
        self._linkage = "internal " if internal else ""
        self._parameters = [argument.arg for argument in tree.args.args]
        self._variables = dict.fromkeys([*self._parameters, *_assigned(tree)])
        self._lines: list[str] = []
        self._next = 0
        self._loops: list[tuple[str, str]] = []  # labels of continue and break, innermost last
        self._terminated = False

    def text(self) -> str:
        """The definition."""
        body = self._tree.body
        if ast.get_docstring(self._tree) is not None:
            body = body[1:]
        self._block(body)
        if not self._terminated:
            self._emit("unreachable")
        parameters = ", ".join(f"i64 %{name}" for name in self._parameters)
        lines = [f"define {self._linkage}i64 @{self._tree.name}({parameters}) nounwind {{"]
        lines += [f"  %{name}.place = alloca i64" for name in self._variables]
        lines += [f"  store i64 %{name}, ptr %{name}.place" for name in self._parameters]
        return "\n".join([*lines, *self._lines, "}"])

    # -- Lines -----------------------------------------------------------------------------------------------------

    def _emit(self, line: str) -> None:
        self._lines.append(f"  {line}")

    def _define(self, operation: str) -> str:
        self._next += 1
        self._emit(f"%t{self._next} = {operation}")
        return f"%t{self._next}"

    def _label(self) -> str:
        self._next += 1
        return f"b{self._next}"

    def _jump(self, label: str) -> None:
        if not self._terminated:
            self._emit(f"br label %{label}")
        self._terminated = True

    def _begin(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self._terminated = False

    def _refuse(self, node: ast.AST) -> UnsupportedCodeError:
        line = getattr(node, "lineno", self._tree.lineno)
        return UnsupportedCodeError(f"{self._function.__name__}, line {line}: {ast.unparse(node)}")

    # -- Statements ------------------------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if not self._terminated:
                self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._emit(f"store i64 {self._value(value)}, ptr %{name}.place")
            case ast.AugAssign(target=ast.Name() as target, op=operator, value=value):
                changed = ast.BinOp(ast.Name(target.id, ast.Load()), operator, value)
                self._emit(f"store i64 {self._value(changed)}, ptr %{target.id}.place")
            case ast.Expr(value=ast.Call() as call):
                self._call(call)
            case ast.Return(value=ast.expr() as value):
                self._emit(f"ret i64 {self._value(value)}")
                self._terminated = True
            case ast.If(test=test, body=body, orelse=orelse):
                self._if(test, body, orelse)
            case ast.While(test=test, body=body, orelse=[]):
                self._while(test, body)
            case ast.Match(subject=subject, cases=cases):
                self._match(subject, cases)
            case ast.Continue():
                self._jump(self._loops[-1][0])
            case ast.Break():
                self._jump(self._loops[-1][1])
            case ast.Pass():
                pass
            case _:
                raise self._refuse(node)

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        then, otherwise, after = self._label(), self._label(), self._label()
        self._branch(test, then, otherwise)
        for label, statements in ((then, body), (otherwise, orelse)):
            self._begin(label)
            self._block(statements)
            self._jump(after)
        self._begin(after)

    def _while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        head, inside, after = self._label(), self._label(), self._label()
        self._jump(head)
        self._begin(head)
        self._branch(test, inside, after)
        self._begin(inside)
        self._loops.append((head, after))
        self._block(body)
        self._loops.pop()
        self._jump(head)
        self._begin(after)

    def _match(self, subject: ast.expr, cases: list[ast.match_case]) -> None:
        value = self._value(subject)
        after = default = self._label()
        bodies: list[tuple[str, list[ast.stmt]]] = []
        table: list[str] = []
        for case in cases:
            label = self._label()
            bodies.append((label, case.body))
            constants = list(self._constants(case))
            if not constants:
                default = label
            table += [f"i64 {constant}, label %{label}" for constant in constants]
        self._emit(f"switch i64 {value}, label %{default} [ {' '.join(table)} ]")
        for label, statements in bodies:
            self._begin(label)
            self._block(statements)
            self._jump(after)
        self._begin(after)

    def _constants(self, case: ast.match_case) -> Iterator[int]:
        """What a case stands for; nothing for the one that takes the rest."""
        patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
        if case.guard is not None:
            raise self._refuse(case.guard)
        for pattern in patterns:
            if isinstance(pattern, ast.MatchValue):
                yield self._constant(pattern.value)
            elif not (isinstance(pattern, ast.MatchAs) and pattern.name is None and pattern.pattern is None):
                raise self._refuse(pattern)

    # -- Expressions -----------------------------------------------------------------------------------------------

    def _constant(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int() as value):
                return int(value)
            case ast.Name() | ast.Attribute():
                return int(self._global(node))
        raise self._refuse(node)

    def _global(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name) if name in self._globals:
                return self._globals[name]
            case ast.Attribute(value=value, attr=name):
                return getattr(self._global(value), name)
        raise self._refuse(node)

    def _value(self, node: ast.expr) -> str:  # noqa: PLR0911 - one for each kind of expression
        match node:
            case ast.Name(id=name) if name in self._variables:
                return self._define(f"load i64, ptr %{name}.place")
            case ast.Constant() | ast.Name() | ast.Attribute():
                return str(self._constant(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._define(f"sub i64 0, {self._value(operand)}")
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                first, second = self._value(left), self._value(right)
                return self._define(f"{_BINARY[type(operator)]} i64 {first}, {second}")
            case ast.Call():
                return self._call(node)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return self._choice(node, ast.Constant(1), ast.Constant(0))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._choice(test, body, orelse)
        raise self._refuse(node)

    def _choice(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> str:
        then, otherwise, after = self._label(), self._label(), self._label()
        self._branch(test, then, otherwise)
        chosen = []
        for label, value in ((then, body), (otherwise, orelse)):
            self._begin(label)
            result = self._value(value)
            end = self._label()
            self._jump(end)
            self._begin(end)
            chosen.append(f"[ {result}, %{end} ]")
            self._jump(after)
        self._begin(after)
        return self._define(f"phi i64 {', '.join(chosen)}")

    def _branch(self, test: ast.expr, then: str, otherwise: str) -> None:
        """Go to one label or the other."""
        match test:
            case ast.BoolOp(op=operator, values=[*first, last]):
                for value in first:
                    following = self._label()
                    if isinstance(operator, ast.And):
                        self._branch(value, following, otherwise)
                    else:
                        self._branch(value, then, following)
                    self._begin(following)
                self._branch(last, then, otherwise)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._branch(operand, otherwise, then)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if (
                type(operator) in _COMPARISONS
            ):
                first_value, second_value = self._value(left), self._value(right)
                truth = self._define(f"icmp {_COMPARISONS[type(operator)]} i64 {first_value}, {second_value}")
                self._emit(f"br i1 {truth}, label %{then}, label %{otherwise}")
                self._terminated = True
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=choices)]):
                checks: list[ast.expr] = [ast.Compare(left, [ast.Eq()], [choice]) for choice in choices]
                self._branch(ast.BoolOp(ast.Or(), checks), then, otherwise)
            case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[ast.Tuple() as choices]):
                self._branch(ast.Compare(left, [ast.In()], [choices]), otherwise, then)
            case ast.Compare():
                raise self._refuse(test)
            case _:
                truth = self._define(f"icmp ne i64 {self._value(test)}, 0")
                self._emit(f"br i1 {truth}, label %{then}, label %{otherwise}")
                self._terminated = True

    def _call(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._refuse(node)
        name = node.func.id
        if name == "int":
            return self._value(node.args[0])
        arguments = [self._value(argument) for argument in node.args]
        if name in LOADS:
            width = LOADS[name]
            place = self._define(f"inttoptr i64 {arguments[0]} to ptr")
            loaded = self._define(f"load i{width}, ptr {place}, align 1")
            return loaded if width == 64 else self._define(f"zext i{width} {loaded} to i64")
        if name in STORES:
            width = STORES[name]
            place = self._define(f"inttoptr i64 {arguments[0]} to ptr")
            value = arguments[1]
            if width < 64:
                value = self._define(f"trunc i64 {value} to i{width}")
            self._emit(f"store i{width} {value}, ptr {place}, align 1")
            return "0"
        callee = self._global(node.func)
        if not getattr(callee, _MARK, False):
            raise self._refuse(node)
        self.called.append(callee)
        return self._define(f"call i64 @{name}({', '.join(f'i64 {argument}' for argument in arguments)})")


@cache
def _source(module: str) -> str:
    """The text of a module."""
    return inspect.getsource(sys.modules[module])


@cache
def _definitions(module: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module as they are written, by name."""
    tree = ast.parse(_source(module))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _assigned(tree: ast.FunctionDef) -> list[str]:
    """The names that a function assigns to."""
    return [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
