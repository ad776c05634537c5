"""The errors of the engine, as one tree.

::

    FarcallError
    ├── ModuleError                 the bytes are refused; carries the byte offset
    │   ├── MalformedModuleError        decoding failed (specification, chapter 5)
    │   ├── InvalidModuleError          validation failed (specification, chapter 3)
    │   │   └── ModuleLimitError            the module is larger than farcall takes (binary/limits.py)
    │   └── UnsupportedFeatureError     the module needs a feature that is switched off
    ├── LinkError                   an import cannot be resolved; carries its name, the wanted and the found type
    ├── Trap                        the guest trapped; carries the kind and the backtrace
    │   └── AbortTrap                   the guest gave up, and said why
    ├── WasmException               a guest threw an exception that nothing in it caught; carries tag, values, backtrace
    ├── TerminatedError             the guest was stopped from outside; carries the reason and the backtrace
    ├── HostFailure                 a host function ended the guest; carries the message and the backtrace
    │   └── ImportFailedError           what a guest imports failed; carries the import's names
    ├── ProgramExit                 a program ended itself; carries its exit code, and is no failure
    ├── ExhaustionError             a limit of the engine or of a store was reached (memories, pages, instances)
    │   ├── CompileLimitError           a compile job took more time or memory than it may; carries its functions
    │   └── QueueFullError              as many compile jobs wait as may
    ├── CompileCancelledError       whoever wanted a module compiled did not wait any longer
    ├── ArtifactError               a file of code that was compiled ahead cannot be used
    ├── CompilerCrashError          the process of a compile job ended by itself; carries its functions
    ├── ArgumentError               a value for a parameter has the wrong type or range; carries its index
    ├── RangeError                  an offset or length lies outside of a memory or table
    ├── ExportNotFoundError         no export of that name, or of that kind
    ├── FunctionNotFoundError       a module has no function of that name, or several, or it is imported
    ├── ClosedError                 the engine, store or instance has been closed
    ├── NameTakenError              the store has an open instance of that name
    ├── MountError                  what a guest is to have as a file system is none, or cannot be had
    ├── HostModuleError             what guests are to import from is no host module, or cannot be had
    ├── ReentrancyError             a host function asked for what its active callers rule out
    └── EngineBug                   what cannot happen in valid code: always a defect of farcall
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from farcall.engine.abi.traps import TrapKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farcall.engine.structure.types import TagType


class FarcallError(Exception):
    """Root of every error that the engine raises on purpose."""


class ModuleError(FarcallError):
    """The bytes of a module are refused.

    Attributes:
        reason: what is wrong, in the specification's words where it has them.
        offset: where, in bytes from the start of the module.
        function_index: the function in whose body it is, if in one.
    """

    kind = "refused"

    def __init__(self, reason: str, offset: int, function_index: int | None = None) -> None:
        where = f"at byte {offset:#x}"
        if function_index is not None:
            where += f" in function {function_index}"
        super().__init__(f"{self.kind} module: {reason} ({where})")
        self.reason = reason
        self.offset = offset
        self.function_index = function_index


class MalformedModuleError(ModuleError):
    """The bytes do not follow the binary format (specification, chapter 5)."""

    kind = "malformed"


class InvalidModuleError(ModuleError):
    """The module does not validate (specification, chapter 3)."""

    kind = "invalid"


class ModuleLimitError(InvalidModuleError):
    """The module goes beyond a limit of this implementation (specification, appendix, section 7.2)."""

    kind = "too large"


class UnsupportedFeatureError(ModuleError):
    """The module needs a feature that is switched off or not there; `feature` names it.

    `detail`, where given, says before that what the specification without the feature has against it.
    """

    kind = "unsupported"

    def __init__(
        self, feature: str, offset: int, function_index: int | None = None, detail: str | None = None
    ) -> None:
        reason = f"needs the feature {feature!r}, which is switched off"
        super().__init__(f"{detail}: {reason}" if detail else reason, offset, function_index)
        self.feature = feature
        self.detail = detail


class LinkError(FarcallError):
    """An import could not be resolved (specification, section 4.5.3, external typing).

    Attributes:
        module: the import's module name.
        name: the import's own name.
        wanted: the type that the importing module declares, in text.
        found: the type of what was offered, in text, or None where nothing was.
    """

    def __init__(self, module: str, name: str, wanted: str, found: str | None) -> None:
        reason = "unknown import" if found is None else "incompatible import type"
        offered = "nothing was provided" if found is None else f"found {found}"
        super().__init__(f'{reason}: "{module}" "{name}": wanted {wanted}, {offered}')
        self.module = module
        self.name = name
        self.wanted = wanted
        self.found = found
        self.reason = reason


class Frame:
    """One frame of a Wasm backtrace.

    Attributes:
        function_index: index of the function in its module.
        function_name: from the name section, else from an export, else None.
        module_name: the name that the module's name section gives it, or None.
    """

    __slots__ = ("function_index", "function_name", "module_name")

    def __init__(self, function_index: int, function_name: str | None, module_name: str | None) -> None:
        self.function_index = function_index
        self.function_name = function_name
        self.module_name = module_name

    def __str__(self) -> str:
        function = (
            self.function_name if self.function_name is not None else f"<function {self.function_index}>"
        )
        return f"{self.module_name or '<module>'}!{function}"

    def __repr__(self) -> str:
        return f"Frame({self.function_index}, {self.function_name!r}, {self.module_name!r})"


class _GuestStopped(FarcallError):  # noqa: N818 - a trap is the specification's word for one of its children
    """What a guest leaves when it does not return: a message and the frames, innermost first."""

    def __init__(self, message: str, backtrace: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        self.message = message
        self._backtrace = backtrace

    @property
    def backtrace(self) -> tuple[Frame, ...]:
        """The Wasm frames, innermost first; at most the innermost 64."""
        return tuple(self._backtrace)

    def add_frames(self, frames: Sequence[Frame]) -> None:
        """Append the frames of the guest that called the host function through which this passes."""
        self._backtrace = (*self._backtrace, *frames)

    def __str__(self) -> str:
        frames = self.backtrace
        lines = [self.message, *(f"  {position}: {frame}" for position, frame in enumerate(frames))]
        return "\n".join(lines)


class Trap(_GuestStopped):
    """The guest trapped.

    Attributes:
        kind: which trap (`farcall.engine.TrapKind`).
    """

    def __init__(self, kind: TrapKind, backtrace: Sequence[Frame] = ()) -> None:
        super().__init__(kind.message, backtrace)
        self.kind = kind


class AbortTrap(Trap):
    """The guest gave up and said why, as by `abort` of AssemblyScript's.

    It is of the kind `unreachable`, which is what the guest would have run into.
    """

    def __init__(self, message: str, backtrace: Sequence[Frame] = ()) -> None:
        """Make one.

        Parameters:
            message: what the guest said.
        """
        super().__init__(TrapKind.UNREACHABLE, backtrace)
        self.message = message


class ExceptionTag(Protocol):
    """What an exception's tag is to this module (`farcall.engine.Tag`)."""

    @property
    def name(self) -> str | None:
        """For messages."""

    @property
    def type(self) -> TagType:
        """The values that its exceptions carry."""

    def check(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values as its exceptions carry them. Raises ArgumentError."""


class WasmException(_GuestStopped):
    """An exception of the guest's kind: one that a guest threw and none of its callers caught.

    A host function raises one to throw it in the guest that called it, which may catch it.

    Attributes:
        tag: which kind of exception (`farcall.engine.Tag`).
        values: what it carries.
    """

    def __init__(
        self, tag: ExceptionTag, values: Sequence[Any] = (), backtrace: Sequence[Frame] = ()
    ) -> None:
        """Make one.

        Raises:
            ArgumentError: the values are not what the tag's exceptions carry.
        """
        self.tag = tag
        self.values = tag.check(values)
        carried = ", ".join(
            f"{value_type.name} {value!r}"
            for value_type, value in zip(tag.type.type.parameters, self.values, strict=True)
        )
        super().__init__(f"uncaught exception: tag {tag.name or '?'} ({carried})", backtrace)


class TerminatedError(_GuestStopped):
    """The guest was stopped from outside, by `Invocation.terminate` or by closing its store."""

    def __init__(self, reason: str, backtrace: Sequence[Frame] = ()) -> None:
        super().__init__(f"terminated: {reason}", backtrace)
        self.reason = reason


class HostFailure(_GuestStopped):
    """What a host function may raise to end the guest that called it with a message, as a trap does.

    Any exception ends the guest; this one takes the backtrace along.
    """


class ImportFailedError(HostFailure):
    """A function that a guest imports, and whose failures are the guest's, failed.

    Attributes:
        module: the import's first name.
        name: the import's second name.
    """

    def __init__(self, module: str, name: str, reason: str) -> None:
        super().__init__(f'the import "{module}" "{name}" failed: {reason}')
        self.module = module
        self.name = name


class ProgramExit(FarcallError):  # noqa: N818 - no error: a program says that it is done, as by `proc_exit` of WASI
    """A program ended itself, from within a call.

    Attributes:
        code: its exit code, from 0 to 2**32 - 1; 0 is success.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the program ended with exit code {code}")
        self.code = code


class ExhaustionError(FarcallError):
    """A limit of the engine or of a store was reached."""


def functions_text(functions: Sequence[int]) -> str:
    """Functions, given by index, in words: `function 3`, `functions 3 to 9`."""
    if len(functions) == 1:
        return f"function {functions[0]}"
    return f"functions {min(functions)} to {max(functions)}"


class CompileLimitError(ExhaustionError):
    """A compile job took more than it may.

    Attributes:
        functions: indices of the functions that were to be compiled.
        resource: `time` or `memory`.
        limit: seconds of processor time, or bytes.
    """

    def __init__(self, functions: Sequence[int], resource: Literal["time", "memory"], limit: int) -> None:
        allowed = f"{limit} s of processor time" if resource == "time" else f"{limit >> 20} MiB of memory"
        super().__init__(f"{functions_text(functions)} could not be compiled: that takes more than {allowed}")
        self.functions = tuple(functions)
        self.resource = resource
        self.limit = limit


class QueueFullError(ExhaustionError):
    """As many compile jobs wait as may; `limit` is how many."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} compile jobs wait already, which is as many as may")
        self.limit = limit


class CompileCancelledError(FarcallError):
    """Whoever wanted a module compiled cancelled that."""

    def __init__(self) -> None:
        super().__init__("compiling the module was cancelled")


class ArtifactError(FarcallError):
    """A file of code that was compiled ahead is none, or damaged, or not to be trusted; the message says what it is."""


class CompilerCrashError(FarcallError):
    """The process of a compile job ended by itself.

    Attributes:
        functions: indices of the functions that were to be compiled.
        how: what is known of it.
    """

    def __init__(self, functions: Sequence[int], how: str) -> None:
        super().__init__(f"{functions_text(functions)} could not be compiled: {how}")
        self.functions = tuple(functions)
        self.how = how


class ArgumentError(FarcallError):
    """A value does not fit the type that is wanted of it.

    Attributes:
        index: the parameter's position, or None where the number of arguments is wrong.
        wanted: the wanted type, in text.
        given: the given value, in text.
    """

    def __init__(self, message: str, index: int | None, wanted: str, given: str) -> None:
        super().__init__(message)
        self.index = index
        self.wanted = wanted
        self.given = given


class RangeError(FarcallError):
    """An offset and length lie outside of a memory or table."""


class ExportNotFoundError(FarcallError, KeyError):
    """An instance has no export of that name, or it is of another kind."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError would quote the message


class FunctionNotFoundError(FarcallError):
    """A module defines no function, or several, to which a name or index refers."""


class ClosedError(FarcallError):
    """The engine, store or instance that is used has been closed."""


class NameTakenError(FarcallError):
    """The store has an open instance of that name already."""


class MountError(FarcallError):
    """A file system for guests cannot be mounted as it is asked for, or is no file system."""


class HostModuleError(FarcallError):
    """A host module is named that cannot be had, is none, or has the name of another."""


class ReentrancyError(FarcallError):
    """A host function asked for something that the guests that called it rule out."""


class EngineBug(FarcallError):  # noqa: N818 - the specification's interpreter calls its like a Crash, not an error
    """What cannot happen in valid code: a defect of farcall, to be reported."""
