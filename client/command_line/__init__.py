"""The command `farcall`; a file for each group of its commands."""

from farcall.client.command_line.program import main

__all__ = ["main"]
