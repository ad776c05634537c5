"""The errors of the client, as one tree; it mirrors the engine's, with what a network adds.

::

    FarcallError                    root; carries the gRPC status code's name
    ├── InvalidModuleError          the server refuses a module's bytes; carries reason, byte offset, function
    ├── LinkError                   an import cannot be resolved; carries its names, wanted and found type
    ├── Trap                        the guest trapped; carries kind and backtrace
    │   └── ImportFailedError           a function that it imports failed; carries the import's names
    ├── ProgramExitError            the guest ended itself, by WASI's `proc_exit`, in a call; carries the exit code
    ├── WasmException               the guest threw an exception that nothing in it caught; carries tag and backtrace
    ├── ArgumentError               a value does not fit; carries parameter index, wanted type, given value
    ├── InvalidRequestError         a request is malformed, for instance a name that cannot be one
    ├── RangeError                  an offset or length lies outside of a memory or table
    ├── NotFoundError               no such module, store, instance or export (also a LookupError)
    │   └── ExportNotFoundError         no export of that name or kind (also a KeyError and AttributeError)
    ├── AlreadyExistsError          the name is taken
    ├── FailedPreconditionError     the resource's state forbids this, for instance setting a constant global
    │   └── ClosedError                 the instance or store was closed while the call waited or ran
    ├── ResourceExhaustedError      a limit or quota is reached, or a message is too large
    ├── DeadlineExceededError       the time ran out; the guest, if it ran, was stopped (also a TimeoutError)
    ├── CancelledError              the call was cancelled (a cancelled task gets asyncio's own instead)
    ├── UnavailableError            the server cannot be reached or is stopping (also a ConnectionError)
    ├── AccessError                 the server wants other credentials
    └── ServerError                 whatever else the server answers: a defect of it, or a newer server
"""

from __future__ import annotations

from dataclasses import dataclass


class FarcallError(Exception):
    """Root of every error that the client raises on purpose.

    Attributes:
        message: what went wrong.
        code: name of the gRPC status code, for instance `NOT_FOUND`.
    """

    code = "UNKNOWN"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a Wasm backtrace.

    Attributes:
        function_index: index of the function in its module.
        function_name: from the name section, else from an export, else None.
        module_name: the name that the module's name section gives it, or None.
    """

    function_index: int
    function_name: str | None = None
    module_name: str | None = None

    def __str__(self) -> str:
        function = (
            self.function_name if self.function_name is not None else f"<function {self.function_index}>"
        )
        return f"{self.module_name or '<module>'}!{function}"


class _GuestStoppedError(FarcallError):
    """What a guest leaves when it does not return: a message and the frames, innermost first."""

    def __init__(self, message: str, *, code: str | None = None, backtrace: tuple[Frame, ...] = ()) -> None:
        super().__init__(message, code=code)
        self.backtrace = backtrace

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {at}: {frame}" for at, frame in enumerate(self.backtrace))])


class InvalidModuleError(FarcallError):
    """The server refuses a module's bytes.

    Attributes:
        reason: what is wrong, in the specification's words where it has them.
        offset: where, in bytes from the start of the module.
        function_index: the function in whose body it is, if in one.
    """

    code = "INVALID_ARGUMENT"

    def __init__(
        self, message: str, *, reason: str = "", offset: int = 0, function_index: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.offset = offset
        self.function_index = function_index


class LinkError(FarcallError):
    """An import could not be resolved.

    Attributes:
        module: the import's module name.
        name: the import's own name.
        wanted: the type that the importing module declares, in text.
        found: the type of what was offered, in text, or None where nothing was.
    """

    code = "FAILED_PRECONDITION"

    def __init__(
        self, message: str, *, module: str = "", name: str = "", wanted: str = "", found: str | None = None
    ) -> None:
        super().__init__(message)
        self.module = module
        self.name = name
        self.wanted = wanted
        self.found = found


class Trap(_GuestStoppedError):  # noqa: N818 - the specification's word
    """The guest trapped; its instance stays usable.

    Attributes:
        kind: which trap, for instance `integer_divide_by_zero`.
        backtrace: the Wasm frames, innermost first.
    """

    code = "ABORTED"

    def __init__(self, message: str, *, kind: str = "unspecified", backtrace: tuple[Frame, ...] = ()) -> None:
        super().__init__(message, backtrace=backtrace)
        self.kind = kind


class ImportFailedError(Trap):
    """What the guest called of its imports failed, and the guest ended as by a trap.

    It was a function of a client's, or that client is gone, or one of a host module of the server's.

    Attributes:
        kind: `import_failure`.
        module: the import's module name.
        name: the import's own name.
    """

    def __init__(
        self, message: str, *, module: str = "", name: str = "", backtrace: tuple[Frame, ...] = ()
    ) -> None:
        super().__init__(message, kind="import_failure", backtrace=backtrace)
        self.module = module
        self.name = name


class ProgramExitError(FarcallError):
    """The guest ended itself, by WASI's `proc_exit`, in the middle of a call; `Client.run` gives the code instead.

    Attributes:
        exit_code: 0 is success.
    """

    code = "ABORTED"

    def __init__(self, message: str, *, exit_code: int = 0) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WasmException(_GuestStoppedError):  # noqa: N818 - the JavaScript API's word
    """The guest threw an exception that nothing in it caught; its instance stays usable.

    Attributes:
        tag: the name of its tag in the module that threw, or None.
        values: what it carries; None for references.
        backtrace: the Wasm frames where it was thrown, innermost first.
    """

    code = "ABORTED"

    def __init__(
        self,
        message: str,
        *,
        tag: str | None = None,
        values: tuple[int | float | bytes | None, ...] = (),
        backtrace: tuple[Frame, ...] = (),
    ) -> None:
        super().__init__(message, backtrace=backtrace)
        self.tag = tag
        self.values = values


class ArgumentError(FarcallError):
    """A value does not fit what is wanted of it.

    Attributes:
        index: the parameter's position, or None where the number of arguments is wrong.
        wanted: the wanted type, in text.
        given: the given value, in text.
    """

    code = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, index: int | None = None, wanted: str = "", given: str = "") -> None:
        super().__init__(message)
        self.index = index
        self.wanted = wanted
        self.given = given


class InvalidRequestError(FarcallError):
    """A request is malformed; the message says which field, and what would be right."""

    code = "INVALID_ARGUMENT"


class RangeError(FarcallError):
    """An offset and length lie outside of a memory or table.

    Attributes:
        offset: the first byte, or the element.
        length: how many.
        size: of the memory in bytes, of the table in elements.
    """

    code = "OUT_OF_RANGE"

    def __init__(self, message: str, *, offset: int = 0, length: int = 0, size: int = 0) -> None:
        super().__init__(message)
        self.offset = offset
        self.length = length
        self.size = size


class NotFoundError(FarcallError, LookupError):
    """There is no such resource.

    Attributes:
        resource: its name, for instance `stores/default/instances/app`.
    """

    code = "NOT_FOUND"

    def __init__(self, message: str, *, resource: str = "") -> None:
        super().__init__(message)
        self.resource = resource


class ExportNotFoundError(NotFoundError, KeyError, AttributeError):
    """An instance has no export of that name, or it is of another kind."""


class AlreadyExistsError(FarcallError):
    """The name is taken.

    Attributes:
        resource: the name that is taken.
    """

    code = "ALREADY_EXISTS"

    def __init__(self, message: str, *, resource: str = "") -> None:
        super().__init__(message)
        self.resource = resource


class FailedPreconditionError(FarcallError):
    """The resource is in a state that forbids this."""

    code = "FAILED_PRECONDITION"


class ClosedError(FailedPreconditionError):
    """The instance or store was closed while the call waited or ran."""


class ResourceExhaustedError(FarcallError):
    """A limit or quota is reached, or a message is larger than allowed."""

    code = "RESOURCE_EXHAUSTED"


class DeadlineExceededError(_GuestStoppedError, TimeoutError):
    """The call's time ran out; a guest that was running has been stopped.

    Attributes:
        backtrace: where the guest was, innermost first, if the server's answer came in time.
    """

    code = "DEADLINE_EXCEEDED"


class CancelledError(_GuestStoppedError):
    """The call was cancelled.

    Attributes:
        backtrace: where the guest was, innermost first, if the server said.
    """

    code = "CANCELLED"


class UnavailableError(FarcallError, ConnectionError):
    """The server cannot be reached, or is stopping."""

    code = "UNAVAILABLE"


class AccessError(FarcallError):
    """The server wants other credentials."""

    code = "PERMISSION_DENIED"


class ServerError(FarcallError):
    """The server answered with what no other class stands for."""
