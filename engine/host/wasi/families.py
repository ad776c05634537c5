"""All functions of WASI: importing the files of the families fills the table."""

from farcall.engine.host.wasi import arguments, clocks, files, paths, polling, process, random, sockets
from farcall.engine.host.wasi.calls import CALLS

__all__ = ["CALLS", "arguments", "clocks", "files", "paths", "polling", "process", "random", "sockets"]
