"""The command `farcall`; a file for each group of its commands."""

import os

# gRPC's own log would stand between the lines that commands print; errors reach the user as messages.
# It looks at this when it is loaded, so the import has to come later.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from farcall.client.command_line.program import main

__all__ = ["main"]
