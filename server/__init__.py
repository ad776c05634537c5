"""farcall's server: the gRPC service farcall.v1 around one engine.

>>> from farcall.server import ServerConfiguration, run
>>> run(ServerConfiguration(address="127.0.0.1:7070"))
"""

from farcall.server.configuration import ServerConfiguration
from farcall.server.main import run, serve
from farcall.server.server import Server

__all__ = ["Server", "ServerConfiguration", "run", "serve"]
