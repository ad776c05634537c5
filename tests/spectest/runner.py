"""Runs the commands of one script against the engine: one engine and one store a script."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from farcall.engine import Engine, FunctionDefinition, Store, custom_section_problems
from farcall.engine.errors import (
    FarcallError,
    InvalidModuleError,
    LinkError,
    MalformedModuleError,
    Trap,
    UnsupportedFeatureError,
    WasmException,
)

from .assembler import AssemblyError, assemble
from .commands import (
    Action,
    ActionCommand,
    AssertRefused,
    AssertReturn,
    AssertStopped,
    Command,
    InstanceCommand,
    Invoke,
    ModuleCommand,
    ModuleSource,
    RegisterCommand,
    ThreadCommand,
    WaitCommand,
    command_name,
    parse_script,
)
from .host_module import HOST_MODULE, spectest_externs
from .outcomes import TEXT_ANNOTATIONS, TEXT_FORMAT, Outcome
from .s_expressions import ScriptSyntaxError
from .suite import superseded_assertions
from .values import NUMERIC_TYPES, Argument, Result, show

Report = Callable[[Outcome], None]


class NotSupportedError(Exception):
    """A command needs a feature that the engine lacks; the message is the reason for skipping it."""


class ExpectationError(Exception):
    """A command went otherwise than its script says."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands for a module or instance that there is not, in place of it: whatever needs it raises `error`."""

    error: ExpectationError | NotSupportedError


@dataclass(slots=True)
class Scope:
    """What names stand for at one point of a script; the latest module and instance have the name None."""

    definitions: dict[str | None, Any] = field(default_factory=dict)
    instances: dict[str | None, Any] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)
    threads: dict[str, threading.Thread] = field(default_factory=dict)
    lost: list[tuple[Any, NotSupportedError]] = field(default_factory=list)
    """Instances that a skipped module would have changed: what they do now says nothing."""

    def present(self, found: Any) -> Any:
        """A module or instance, unless there is none in its place, or its state is lost."""
        if isinstance(found, Missing):
            raise found.error
        for instance, error in self.lost:
            if instance is found:
                raise error
        return found

    def lose(self, names: frozenset[str], error: NotSupportedError) -> None:
        """A module that would have changed these registered instances is skipped.

        The host module does not count: no script looks at what another module left there.
        """
        names = names & self.registered.keys() - {HOST_MODULE}
        self.lost += [(self.registered[name], error) for name in names]


class Variant(Enum):
    """How modules are compiled; the value is the command line's word for it.

    `FAST` is code as it is compiled at the first call; the others are optimised.
    """

    STOPPABLE = "stoppable"
    FAST = "fast"
    PLAIN = "plain"
    LISTENED = "listened"

    @property
    def policy(self) -> str:
        """The engine's policy."""
        return "fast" if self is Variant.FAST else "optimized"


class IdleListener:
    """Makes the engine use code that tells of calls."""

    def before(self, function: FunctionDefinition, arguments: tuple[Any, ...]) -> None:
        """A call begins."""

    def after(self, function: FunctionDefinition, results: tuple[Any, ...]) -> None:
        """It returned."""

    def abort(self, function: FunctionDefinition, error: BaseException) -> None:
        """It did not return."""


def run_file(
    path: Path,
    report: Report,
    progress: Callable[[int], None] = lambda _: None,
    variant: Variant = Variant.STOPPABLE,
) -> None:
    """Run the script at `path`.

    Args:
        path: the `.wast` file.
        report: is told the outcome of every assertion, and of other commands that failed or were skipped.
        progress: is told the line of every command before it runs.
        variant: how modules are compiled.
    """
    try:
        commands = parse_script(path.read_bytes())
    except ScriptSyntaxError as error:
        report(Outcome(1, "script", "failed", expected="a script", got=str(error)))
        return
    with Engine(code_policy=variant.policy) as engine, Store(engine) as store:
        scope = Scope(registered={HOST_MODULE: spectest_externs(store)})
        runner = ScriptRunner(engine, store, report, progress, variant, superseded_assertions(path))
        runner.run(commands, scope)


class ScriptRunner:
    """Runs commands in one store."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        report: Report,
        progress: Callable[[int], None],
        variant: Variant,
        superseded: Mapping[str, str],
    ) -> None:
        self._variant = variant
        self._superseded = superseded
        self._engine = engine
        self._store = store
        # Several threads report, and what takes it may write to a pipe.
        self._reporting = threading.Lock()
        self._tell = report
        self._progress = progress
        self._run: dict[type, Callable[[Any, Scope], None]] = {
            ModuleCommand: self._module,
            InstanceCommand: self._instance,
            RegisterCommand: self._register,
            ActionCommand: lambda command, scope: void(self._act(command.action, scope)),
            AssertReturn: self._assert_return,
            AssertStopped: self._assert_stopped,
            AssertRefused: self._assert_refused,
            ThreadCommand: self._thread,
            WaitCommand: lambda command, scope: scope.threads[command.thread].join(),
        }

    def _report(self, outcome: Outcome) -> None:
        with self._reporting:
            self._tell(outcome)

    def run(self, commands: Sequence[Command], scope: Scope) -> None:
        """Run `commands` in order and report each outcome; it ends when the threads that they start have ended."""
        for command in commands:
            self._progress(command.line)
            is_assertion = isinstance(command, AssertReturn | AssertStopped | AssertRefused)
            outcome = partial(Outcome, command.line, command_name(command))
            try:
                self._run[type(command)](command, scope)
            except NotSupportedError as error:
                self._report(outcome("skipped", counted=is_assertion, reason=str(error)))
            except ExpectationError as error:
                self._report(outcome("failed", expected=error.expected, got=error.got))
            except OtherMessageError as error:
                self._report(outcome("passed", expected=error.expected, got=error.got, other_message=True))
            except Exception as error:  # Whatever it is, it is this command's failure, and the next runs.
                self._report(outcome("failed", expected="no error", got=_describe(error)))
            else:
                if is_assertion:
                    self._report(outcome("passed"))
        for thread in scope.threads.values():
            thread.join()

    # Modules and instances.

    def _load(self, source: ModuleSource) -> Any:
        try:
            binary = assemble(source)
        except AssemblyError as error:
            raise ExpectationError("a module that can be assembled", str(error)) from error
        try:
            return self._engine.load_module(binary)
        except UnsupportedFeatureError as error:
            raise NotSupportedError(f"feature {error.feature}") from error

    def _instantiate(self, module: Any, scope: Scope) -> Any:
        imports = {}
        for entry in module.imports:
            if entry.module in scope.registered:
                imports[entry.module] = scope.present(scope.registered[entry.module])
        listeners = [IdleListener()] if self._variant is Variant.LISTENED else []
        stoppable = self._variant is not Variant.PLAIN
        compiled = self._engine.compile_module(module, listeners, ensure_termination=stoppable)
        return self._store.instantiate(compiled, imports)

    def _module(self, command: ModuleCommand, scope: Scope) -> None:
        if command.definition_only:
            _define(scope.definitions, command, lambda: self._load(command.source))
        else:
            _define(scope.instances, command, lambda: self._load_and_instantiate(command.source, scope))

    def _load_and_instantiate(self, source: ModuleSource, scope: Scope) -> Any:
        try:
            module = self._load(source)
        except NotSupportedError as error:
            scope.lose(source.changes, error)
            raise
        return self._instantiate(module, scope)

    def _instance(self, command: InstanceCommand, scope: Scope) -> None:
        _define(
            scope.instances,
            command,
            lambda: self._instantiate(scope.present(scope.definitions[command.definition]), scope),
        )

    def _register(self, command: RegisterCommand, scope: Scope) -> None:
        scope.registered[command.name] = scope.instances[command.instance]
        scope.present(scope.registered[command.name])

    # Actions.

    def _act(self, action: Action, scope: Scope) -> list[Result]:
        if action.instance not in scope.instances:
            raise ExpectationError(f"an instance {action.instance or ''}".rstrip(), "none of that name")
        instance = scope.present(scope.instances[action.instance])
        if isinstance(action, Invoke):
            return _call(instance.function(action.name), action.arguments)
        found = instance.global_(action.name)
        return [_result(found.type.value.name, found.value)]

    def _assert_return(self, command: AssertReturn, scope: Scope) -> None:
        try:
            results = self._act(command.action, scope)
        except FarcallError as error:
            raise ExpectationError(show(command.patterns), _describe(error)) from error
        matched = len(results) == len(command.patterns) and all(
            pattern.matches(result) for pattern, result in zip(command.patterns, results, strict=True)
        )
        if not matched:
            raise ExpectationError(show(command.patterns), show(results))

    def _assert_stopped(self, command: AssertStopped, scope: Scope) -> None:
        wanted = f"{command.kind.removeprefix('assert_')} {command.message!r}"
        if command.kind == "assert_exception":
            try:
                results = self._act(command.action, scope)
            except WasmException:
                return
            raise ExpectationError(wanted, f"results {show(results)}")
        try:
            results = self._act(command.action, scope)
        except Trap as trap:
            _check_trap(wanted, command.message, trap)
        else:
            raise ExpectationError(wanted, f"results {show(results)}")

    def _assert_refused(self, command: AssertRefused, scope: Scope) -> None:
        if command.kind == "assert_malformed_custom" and command.source.form != "binary":
            raise NotSupportedError(TEXT_ANNOTATIONS)
        if command.kind.endswith("_custom"):
            _check_custom_sections(command, self._load(command.source))
            return
        if command.kind == "assert_malformed" and command.source.form != "binary":
            raise NotSupportedError(TEXT_FORMAT)
        if command.message in self._superseded:
            _check_without(self._superseded[command.message], command)
            return
        wanted = f"{command.kind.removeprefix('assert_')} {command.message!r}"
        try:
            if command.kind in ("assert_malformed", "assert_invalid"):
                self._load(command.source)
                raise ExpectationError(wanted, "a valid module")
            self._load_and_instantiate(command.source, scope)
        except MalformedModuleError as error:
            _check_refusal(command.kind == "assert_malformed", wanted, command.message, error, error.reason)
        except InvalidModuleError as error:
            _check_refusal(command.kind == "assert_invalid", wanted, command.message, error, error.reason)
        except LinkError as error:
            _check_refusal(command.kind == "assert_unlinkable", wanted, command.message, error, error.reason)
        except Trap as trap:
            if command.kind not in ("assert_trap", "assert_uninstantiable"):
                raise ExpectationError(wanted, _describe(trap)) from trap
            _check_trap(wanted, command.message, trap)
        else:
            raise ExpectationError(wanted, "an instance")

    # Threads.

    def _thread(self, command: ThreadCommand, scope: Scope) -> None:
        shared: dict[str | None, Any] = {name: scope.instances[name] for name in command.shared}
        child = Scope(instances=shared, registered={HOST_MODULE: scope.registered[HOST_MODULE]})
        # In the proposal's scripts, a shared instance keeps the name it is registered under.
        for name, instance in scope.registered.items():
            if any(instance is candidate for candidate in shared.values()):
                child.registered[name] = instance
        thread = threading.Thread(target=self.run, args=(command.commands, child), name=command.identifier)
        scope.threads[command.identifier] = thread
        thread.start()


class OtherMessageError(Exception):
    """A command went as its script says, but with another reason in its message."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(got)
        self.expected = expected
        self.got = got


def void(_: object) -> None:
    """Drop a value."""


def _define(
    names: dict[str | None, Any], command: ModuleCommand | InstanceCommand, make: Callable[[], Any]
) -> None:
    """Bind the command's name and None to what `make` gives, or to its absence."""
    try:
        made = make()
    except NotSupportedError as error:
        made = Missing(error)
        raise
    except Exception as error:
        failed = error.expected if isinstance(error, ExpectationError) else "no error"
        made = Missing(ExpectationError(failed, f"failure of the module at line {command.line}"))
        raise
    finally:
        names[None] = made
        if command.identifier is not None:
            names[command.identifier] = made


def _check_trap(wanted: str, message: str, trap: Trap) -> None:
    # "uninitialized element 2" is expected of implementations that say which; ours may be the shorter one.
    if not (trap.message.startswith(message) or message.startswith(trap.message)):
        raise ExpectationError(wanted, _describe(trap))


def _check_without(feature: str, command: AssertRefused) -> None:
    """Whether an engine without the feature refuses the module with the wanted words: invalid, or for the feature."""
    wanted = f"without {feature}: {command.message}"
    with Engine(disabled_features=[feature]) as engine:
        try:
            engine.load_module(assemble(command.source))
        except UnsupportedFeatureError as error:
            if error.feature != feature or error.detail != command.message:
                raise ExpectationError(wanted, _describe(error)) from error
        except InvalidModuleError as error:
            _check_refusal(command.kind == "assert_invalid", wanted, command.message, error, error.reason)
        else:
            raise ExpectationError(wanted, "a valid module")


def _check_custom_sections(command: AssertRefused, module: Any) -> None:
    """Whether what the assertion says is found wrong with a custom section of a module, which is valid for all that."""
    wanted = f"{command.kind.removeprefix('assert_')} {command.message!r}"
    problems = custom_section_problems(module)
    if not problems:
        raise ExpectationError(wanted, "nothing wrong with the custom sections")
    kind = MalformedModuleError if command.kind == "assert_malformed_custom" else InvalidModuleError
    _check_refusal(isinstance(problems[0], kind), wanted, command.message, problems[0], problems[0].reason)


def _check_refusal(right_kind: bool, wanted: str, message: str, error: FarcallError, reason: str) -> None:
    if not right_kind:
        raise ExpectationError(wanted, _describe(error)) from error
    if not reason.startswith(message):
        raise OtherMessageError(message, str(error))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


# Values between scripts and the engine.


def _call(function: Any, arguments: Sequence[Argument]) -> list[Result]:
    names = [value_type.name for value_type in function.type.results]
    types = [value_type.name for value_type in (*function.type.parameters, *function.type.results)]
    if NUMERIC_TYPES.issuperset(types):
        slots = function.call_bits([slot for argument in arguments for slot in _slots(argument)])
        return _from_slots(names, iter(slots))
    returned = function(*map(_python_value, arguments))
    values = returned if isinstance(returned, tuple) and len(names) != 1 else (returned,) if names else ()
    return [_result(name, value) for name, value in zip(names, values, strict=True)]


def _slots(argument: Argument) -> tuple[int, ...]:
    """An argument as slots of 64 bits: a vector takes two, the lower half first."""
    assert isinstance(argument.value, int)
    if argument.type == "v128":
        return argument.value & _SLOT, argument.value >> 64
    return (argument.value,)


def _from_slots(names: Sequence[str], slots: Iterator[int]) -> list[Result]:
    return [Result(name, next(slots) | (next(slots) << 64 if name == "v128" else 0)) for name in names]


_SLOT = (1 << 64) - 1
_FORMATS = {"i32": ("<i", "<I"), "i64": ("<q", "<Q"), "f32": ("<f", "<I"), "f64": ("<d", "<Q")}


def _python_value(argument: Argument) -> object:
    if argument.type not in _FORMATS:
        return argument.value
    value_format, bits_format = _FORMATS[argument.type]
    (value,) = struct.unpack(value_format, struct.pack(bits_format, argument.value))
    return value


def _result(type_name: str, value: object) -> Result:
    if type_name not in _FORMATS:
        return Result(type_name, value)
    value_format, bits_format = _FORMATS[type_name]
    (bits,) = struct.unpack(bits_format, struct.pack(value_format, value))
    return Result(type_name, bits)
