"""The commands of a script, and how a script is parsed into them.

The grammar is that of the reference interpreter's scripts (its README, section "Scripts").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .s_expressions import Atom, Expression, Form, Lines, ScriptSyntaxError, String, parse
from .values import Argument, Pattern, parse_argument, parse_pattern


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module as a script gives it.

    Attributes:
        form: `text` (cut out of the script), `binary` (bytes) or `quote` (text in strings).
        content: its text or bytes.
        changes: names of the modules whose state it can change when instantiated, through what it imports;
            known of the form `text` only.
    """

    form: Literal["text", "binary", "quote"]
    content: bytes
    changes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModuleCommand:
    """`(module ...)`: define a module and, unless it is only a `definition`, instantiate it."""

    line: int
    identifier: str | None
    source: ModuleSource
    definition_only: bool


@dataclass(frozen=True, slots=True)
class InstanceCommand:
    """`(module instance $I $M)`: instantiate a definition."""

    line: int
    identifier: str | None
    definition: str | None


@dataclass(frozen=True, slots=True)
class RegisterCommand:
    """`(register "name" $I)`: let later modules import from an instance by that name."""

    line: int
    name: str
    instance: str | None


@dataclass(frozen=True, slots=True)
class Invoke:
    """`(invoke $I "name" ARGUMENT*)`."""

    instance: str | None
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Get:
    """`(get $I "name")`: the value of a global."""

    instance: str | None
    name: str


Action = Invoke | Get


@dataclass(frozen=True, slots=True)
class ActionCommand:
    """An action on its own: it must not fail."""

    line: int
    action: Action


@dataclass(frozen=True, slots=True)
class AssertReturn:
    """The action returns results that match."""

    line: int
    action: Action
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class AssertStopped:
    """`assert_trap`, `assert_exhaustion` or `assert_exception` of an action: it does not return."""

    line: int
    kind: str
    action: Action
    message: str


@dataclass(frozen=True, slots=True)
class AssertRefused:
    """`assert_malformed`, `_invalid`, `_unlinkable`, `_uninstantiable` or `_trap` of a module.

    Also the `_custom` forms, which are about annotations and the content of custom sections.
    """

    line: int
    kind: str
    source: ModuleSource
    message: str


@dataclass(frozen=True, slots=True)
class ThreadCommand:
    """`(thread $T (shared (module $M))? COMMAND*)`: run commands concurrently, sharing these instances."""

    line: int
    identifier: str
    shared: tuple[str, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class WaitCommand:
    """`(wait $T)`: wait for a thread's end."""

    line: int
    thread: str


Command = (
    ModuleCommand
    | InstanceCommand
    | RegisterCommand
    | ActionCommand
    | AssertReturn
    | AssertStopped
    | AssertRefused
    | ThreadCommand
    | WaitCommand
)

_MODULE_FIELDS = frozenset(
    ("type", "rec", "import", "func", "table", "memory", "tag", "global", "export", "start", "elem", "data")
)


def command_name(command: Command) -> str:
    """The script's word for a command."""
    match command:
        case AssertStopped() | AssertRefused():
            return command.kind
        case ActionCommand(action=Invoke()):
            return "invoke"
        case ActionCommand():
            return "get"
        case _:
            return _NAMES[type(command)]


_NAMES: dict[type, str] = {
    ModuleCommand: "module",
    InstanceCommand: "module instance",
    RegisterCommand: "register",
    AssertReturn: "assert_return",
    ThreadCommand: "thread",
    WaitCommand: "wait",
}


def parse_script(source: bytes) -> list[Command]:
    """Parse a `.wast` script.

    Raises:
        ScriptSyntaxError: something in it is no command; the message names the line.
    """
    expressions = parse(source)
    if expressions and isinstance(expressions[0], Form) and expressions[0].head in _MODULE_FIELDS:
        # A file may be the fields of one module, without the brackets around them.
        forms = [expression for expression in expressions if isinstance(expression, Form)]
        content = source[expressions[0].start : expressions[-1].end]
        module = ModuleSource("text", b"(module " + content + b"\n)", _changed_modules(forms))
        return [ModuleCommand(1, None, module, definition_only=False)]
    return _ScriptParser(source).commands(expressions)


class _Items:
    """A form's items after its head, taken from the front."""

    def __init__(self, form: Form) -> None:
        self._items = form.items
        self._position = 1

    def identifier(self) -> str | None:
        """The next item if it is an identifier."""
        if self._position < len(self._items):
            item = self._items[self._position]
            if isinstance(item, Atom) and item.text.startswith("$"):
                self._position += 1
                return item.text
        return None

    def keyword(self, *keywords: str) -> str | None:
        """The next item if it is one of these keywords."""
        if self._position < len(self._items):
            item = self._items[self._position]
            if isinstance(item, Atom) and item.text in keywords:
                self._position += 1
                return item.text
        return None

    def name(self) -> str:
        """The next item, a string, as a name."""
        item = self.next()
        if not isinstance(item, String):
            raise ValueError("a string is expected")
        return item.value.decode()

    def form(self) -> Form:
        """The next item, a form."""
        item = self.next()
        if not isinstance(item, Form):
            raise ValueError("a bracketed form is expected")
        return item

    def next(self) -> Expression:
        """The next item."""
        if self._position == len(self._items):
            raise ValueError("something is missing at its end")
        self._position += 1
        return self._items[self._position - 1]

    def rest(self) -> Sequence[Expression]:
        """All items that are left."""
        rest = self._items[self._position :]
        self._position = len(self._items)
        return rest

    def end(self) -> None:
        """There must be no more."""
        if self._position != len(self._items):
            raise ValueError("it goes on where it should end")


class _ScriptParser:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lines = Lines(source)
        self._readers: dict[str, Callable[[Form, int], Command]] = {
            "module": self._module,
            "register": self._register,
            "invoke": lambda form, line: ActionCommand(line, self._action(form)),
            "get": lambda form, line: ActionCommand(line, self._action(form)),
            "assert_return": self._assert_return,
            "thread": self._thread,
            "wait": self._wait,
        }
        for kind in ("trap", "exhaustion", "exception"):
            self._readers[f"assert_{kind}"] = self._assert_failure
        for kind in ("malformed", "invalid", "unlinkable", "uninstantiable"):
            self._readers[f"assert_{kind}"] = self._assert_failure
            self._readers[f"assert_{kind}_custom"] = self._assert_failure

    def commands(self, expressions: Sequence[Expression]) -> list[Command]:
        """Parse each expression as a command."""
        return [self._command(expression) for expression in expressions]

    def _command(self, expression: Expression) -> Command:
        line = self._lines.line(expression.start)
        head = expression.head if isinstance(expression, Form) else None
        if not isinstance(expression, Form) or head not in self._readers:
            raise ScriptSyntaxError(f"line {line}: a command is expected, found {head or expression}")
        try:
            return self._readers[head](expression, line)
        except (ValueError, KeyError, IndexError) as error:
            raise ScriptSyntaxError(f"line {line}: {head}: {error}") from error

    def _module(self, form: Form, line: int) -> ModuleCommand | InstanceCommand:
        items = _Items(form)
        if items.keyword("instance"):
            command = InstanceCommand(line, items.identifier(), items.identifier())
            items.end()
            return command
        definition_only = items.keyword("definition") is not None
        return ModuleCommand(line, items.identifier(), self._module_source(form), definition_only)

    def _module_source(self, form: Form) -> ModuleSource:
        items = _Items(form)
        definition = items.keyword("definition")
        items.identifier()
        encoding = items.keyword("binary", "quote")
        if encoding is not None:
            strings = [item.value for item in items.rest() if isinstance(item, String)]
            if encoding == "binary":
                return ModuleSource("binary", b"".join(strings))
            return ModuleSource("quote", b" ".join(strings))
        content = self._source[form.start : form.end]
        if definition is not None:
            keyword = form.items[1]
            before = self._source[form.start : keyword.start]
            content = before + b" " * len("definition") + self._source[keyword.end : form.end]
        return ModuleSource("text", content, _changed_modules(form.items))

    def _register(self, form: Form, line: int) -> RegisterCommand:
        items = _Items(form)
        command = RegisterCommand(line, items.name(), items.identifier())
        items.end()
        return command

    def _action(self, form: Form) -> Action:
        items = _Items(form)
        instance, name = items.identifier(), items.name()
        if form.head == "invoke":
            return Invoke(instance, name, tuple(parse_argument(item) for item in items.rest()))
        if form.head != "get":
            raise ValueError(f"an action is expected, found {form.head}")
        items.end()
        return Get(instance, name)

    def _assert_return(self, form: Form, line: int) -> AssertReturn:
        items = _Items(form)
        action = self._action(items.form())
        return AssertReturn(line, action, tuple(parse_pattern(item) for item in items.rest()))

    def _assert_failure(self, form: Form, line: int) -> AssertStopped | AssertRefused:
        items = _Items(form)
        subject = items.form()
        kind = form.head
        assert kind is not None
        message = "" if kind == "assert_exception" else items.name()
        items.end()
        if subject.head == "module":
            return AssertRefused(line, kind, self._module_source(subject), message)
        return AssertStopped(line, kind, self._action(subject), message)

    def _thread(self, form: Form, line: int) -> ThreadCommand:
        items = _Items(form)
        identifier = items.identifier()
        if identifier is None:
            raise ValueError("a thread has an identifier")
        rest = list(items.rest())
        shared: list[str] = []
        while rest and isinstance(rest[0], Form) and rest[0].head == "shared":
            sharing = rest.pop(0)
            for module in sharing.items[1:] if isinstance(sharing, Form) else ():
                name = module.items[1] if isinstance(module, Form) and module.head == "module" else None
                if not isinstance(name, Atom):
                    raise ValueError("(shared (module $NAME)) is expected")
                shared.append(name.text)
        return ThreadCommand(line, identifier, tuple(shared), tuple(self.commands(rest)))

    def _wait(self, form: Form, line: int) -> WaitCommand:
        items = _Items(form)
        thread = items.identifier()
        items.end()
        if thread is None:
            raise ValueError("a thread's identifier is expected")
        return WaitCommand(line, thread)


def _changed_modules(fields: Sequence[Expression]) -> frozenset[str]:
    """Names of the modules whose tables, memories or globals are imported; of all, where a start function runs."""
    forms = [entry for entry in fields if isinstance(entry, Form)]
    kinds = {"table", "memory", "global"} | (
        {"func"} if any(form.head == "start" for form in forms) else set()
    )
    names: set[str] = set()
    for form in forms:
        # (import "M" "t" (table ...)) and (table (import "M" "t") ...)
        inner = [item for item in form.items if isinstance(item, Form)]
        if form.head == "import" and any(item.head in kinds for item in inner):
            names |= _first_string(form)
        elif form.head in kinds:
            names |= {name for item in inner if item.head == "import" for name in _first_string(item)}
    return frozenset(names)


def _first_string(form: Form) -> set[str]:
    return {item.value.decode("utf-8", "replace") for item in form.items[1:2] if isinstance(item, String)}
