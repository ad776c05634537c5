"""Modules: upload, compile, get, list, delete, inspect."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from farcall.client import messages, types
from farcall.client.calls.call import PAGE_SIZE, Call, Page, read_nothing
from farcall.client.calls.resource_names import module_resource
from farcall.client.errors import NotFoundError
from farcall.proto.farcall.v1 import module_pb2, module_service_pb2

UPLOAD_CHUNK_BYTES = 1 << 20

ModuleSource = bytes | bytearray | memoryview | str | os.PathLike[str]
"""A module's bytes, or the path of its file."""

Progress = Callable[[int, int], object]
"""Is told how many bytes of how many have been handed to gRPC."""


CompileListener = Callable[[types.CompileProgress], object]
"""Is told how far compiling a module is."""


def upload(source: ModuleSource, progress: Progress | None, compile_now: bool) -> Call[types.UploadedModule]:
    """Reads the file, if it is one."""
    data = Path(source).read_bytes() if isinstance(source, str | os.PathLike) else bytes(source)
    digest = hashlib.sha256(data).hexdigest()
    requests = _UploadRequests(data, digest, progress, compile_now)
    return Call("UploadModule", requests, messages.read_uploaded_module, None, True)


class _UploadRequests:
    """The messages of an upload; every iteration gives them anew."""

    def __init__(self, data: bytes, digest: str, progress: Progress | None, compile_now: bool) -> None:
        self._data = data
        self._compile_now = compile_now
        self._digest = digest
        self._progress = progress

    def __iter__(self) -> Iterator[module_service_pb2.UploadModuleRequest]:
        total = len(self._data)
        for start in range(0, max(total, 1), UPLOAD_CHUNK_BYTES):
            end = min(start + UPLOAD_CHUNK_BYTES, total)
            request = module_service_pb2.UploadModuleRequest(data=self._data[start:end])
            if start == 0:
                request.sha256, request.size_bytes = self._digest, total
                request.defer_compilation = not self._compile_now
            yield request
            if self._progress is not None:
                self._progress(end, total)


def compile_module(module: types.Module | str) -> Call[types.CompileProgress]:
    """Its answers are several: how far it is."""
    request = module_service_pb2.CompileModuleRequest(name=module_resource(module))
    return Call("CompileModule", request, messages.read_compile_progress, None)


def get_module(module: types.Module | str, content: bool) -> Call[types.Module]:
    """`content` asks for the contents of custom sections."""
    view = module_pb2.MODULE_VIEW_FULL if content else module_pb2.MODULE_VIEW_INTERFACE
    request = module_service_pb2.GetModuleRequest(name=module_resource(module), view=view)
    return Call("GetModule", request, lambda response: messages.read_module(response.module, content))


def list_modules(page_token: str) -> Call[Page[types.Module]]:
    """One page."""
    request = module_service_pb2.ListModulesRequest(page_size=PAGE_SIZE, page_token=page_token)
    return Call("ListModules", request, _read_modules)


def _read_modules(response: module_service_pb2.ListModulesResponse) -> Page[types.Module]:
    return Page([messages.read_module(module) for module in response.modules], response.next_page_token)


def delete_module(module: types.Module | str) -> Call[None]:
    """Instances of it go on."""
    return Call(
        "DeleteModule", module_service_pb2.DeleteModuleRequest(name=module_resource(module)), read_nothing
    )


def inspect_function(
    module: types.Module | str, function: str | int, tier: types.CodeTier
) -> Call[types.FunctionCode]:
    """Compiles the function anew, which may take seconds."""
    request = module_service_pb2.InspectFunctionRequest(
        name=module_resource(module),
        function=str(function),
        tier=module_service_pb2.CodeTier.Value(f"CODE_TIER_{tier.name}"),
    )
    return Call("InspectFunction", request, messages.read_function_code)


def is_whole_digest(text: str) -> bool:
    """Whether the text can name a module as it is; anything else is looked up as the start of a digest."""
    return text.startswith("modules/") or len(text) >= hashlib.sha256().digest_size * 2


def digest_with_prefix(prefix: str, digests: Iterable[str]) -> str:
    """The one of `digests` that starts with `prefix`.

    Raises:
        NotFoundError: none does, or several do.
    """
    found = [digest for digest in digests if digest.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    resource = f"modules/{prefix}"
    if not found:
        raise NotFoundError(f"no module whose digest starts with {prefix!r}", resource=resource)
    shown = ", ".join([*(digest[: len(prefix) + 8] for digest in found[:5]), *(["..."] if found[5:] else [])])
    raise NotFoundError(
        f"{len(found)} modules have a digest that starts with {prefix!r}: {shown}", resource=resource
    )
