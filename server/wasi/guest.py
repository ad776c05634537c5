"""The system that a guest with WASI lives in."""

from __future__ import annotations

from collections.abc import Sequence

from farcall.engine.host.filesystem.mounts import Mount
from farcall.engine.host.wasi.errno import WasiError
from farcall.engine.host.wasi.streams import InputStream, OutputStream
from farcall.engine.host.wasi.system import WasiSystem
from farcall.server.errors import failed_precondition
from farcall.server.wasi.configuration import GuestEnvironment


def guest_system(
    environment: GuestEnvironment,
    mounts: Sequence[Mount],
    *,
    standard_input: InputStream,
    standard_output: OutputStream,
    standard_error: OutputStream,
) -> WasiSystem:
    """A system with these arguments, variables, directories and streams, to be closed by the caller.

    Raises:
        RequestError: a directory cannot be opened any more.
    """
    system = WasiSystem(
        environment.arguments,
        environment.environment,
        input=standard_input,
        output=standard_output,
        error=standard_error,
    )
    try:
        for mount in mounts:
            handle = mount.file_system.open_root(system.program.handles, read_only=mount.read_only)
            system.add_directory(mount.guest_path, handle)
    except WasiError as error:
        system.close()
        reason = error.errno.name.lower()
        raise failed_precondition(
            f"the directory for {mount.guest_path!r} cannot be opened: {reason}"
        ) from error
    return system
