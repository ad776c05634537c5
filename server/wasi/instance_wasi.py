"""WASI for instances whose functions are called one by one."""

from __future__ import annotations

from contextlib import ExitStack

from farcall.engine import Store
from farcall.engine.host.wasi.streams import BytesInput
from farcall.proto.farcall.v1 import instance_service_pb2 as messages
from farcall.server.errors import bad_request
from farcall.server.wasi.captured_output import CapturedOutput
from farcall.server.wasi.configuration import read_environment
from farcall.server.wasi.guest import guest_system
from farcall.server.wasi.mounts import Mounter

_FIELD = "instance.wasi.configuration"


class InstanceWasi:
    """What one instance is given.

    Attributes:
        system: what it has of the world.
        output: what it has written to standard output.
        error: what it has written to standard error.
    """

    def __init__(
        self, message: messages.InstanceWasi, mounter: Mounter, store: Store, max_output_bytes: int
    ) -> None:
        """Make it, in a thread where archives can take their time.

        Parameters:
            max_output_bytes: what can be kept of each output.

        Raises:
            RequestError: a field is wrong, or a directory cannot be had.
            ExhaustionError: an archive takes more memory than the store has.
        """
        kept = max_output_bytes
        if message.HasField("max_output_bytes"):
            if message.max_output_bytes < 0:
                what = f"must not be negative, but is {message.max_output_bytes}"
                raise bad_request("instance.wasi.max_output_bytes", what)
            kept = min(kept, message.max_output_bytes)
        self.output, self.error = CapturedOutput(kept), CapturedOutput(kept)
        environment = read_environment(message.configuration, _FIELD)
        archives = mounter.check(message.configuration, _FIELD)
        archives.check_complete(f"{_FIELD}.mounts")
        with ExitStack() as stack:
            mounts = stack.enter_context(
                mounter.mounted(message.configuration, archives, store.memory_budget, _FIELD)
            )
            system = guest_system(
                environment,
                mounts,
                standard_input=BytesInput(message.standard_input),
                standard_output=self.output,
                standard_error=self.error,
            )
            stack.callback(system.close)
            self.system = system
            self._resources = stack.pop_all()

    def close(self) -> None:
        """Give everything back; the instance is closed, or was not made."""
        self._resources.close()
