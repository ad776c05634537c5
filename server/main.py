"""A server as a process: logging, signals, exit."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable

import structlog

from farcall.server.configuration import ServerConfiguration
from farcall.server.server import Server


def run(
    configuration: ServerConfiguration,
    *,
    log_level: str = "info",
    log_format: str = "console",
    on_listening: Callable[[str], None] = lambda _address: None,
) -> None:
    """Run a server until SIGTERM or SIGINT; a second signal ends the grace.

    Parameters:
        log_level: `debug`, `info`, `warning` or `error`.
        log_format: `console` or `json`, a line an event, on standard error.
        on_listening: is told the address.

    Raises:
        DirectoryInUseError: another server uses the data directory.
        OSError: the data directory cannot be used.
        ListenError: the address cannot be listened on, or the certificate is none.
    """
    configure_logging(log_level, log_format)
    asyncio.run(serve(configuration, on_listening))


async def serve(
    configuration: ServerConfiguration, on_listening: Callable[[str], None] = lambda _address: None
) -> None:
    """Run a server until SIGTERM or SIGINT, on the running event loop of the main thread. Raises as `run` does."""
    server = Server(configuration)
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    try:
        on_listening(await server.start())
        await signalled.wait()
    finally:
        signalled.clear()
        stopping = asyncio.create_task(server.stop())
        hurry = asyncio.create_task(signalled.wait())
        await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not stopping.done():
            server.end_grace()
        await stopping


def configure_logging(level: str, form: str) -> None:
    """Log to standard error, lines for people (`console`) or JSON objects (`json`)."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *(
                [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
                if form == "json"
                else [
                    structlog.dev.ConsoleRenderer(
                        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
                    )
                ]
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Looked up for each line: whoever runs a server in process may have put another stream there since.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
