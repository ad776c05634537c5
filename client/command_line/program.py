"""The command `farcall`: its commands, and what its exit status says."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from farcall.client.command_line.exit_status import DONE, FAILED, INTERRUPTED, WRONG_USAGE
from farcall.client.command_line.settings import ALL, Settings, shared_options
from farcall.client.errors import FarcallError

COMMANDS = {
    "serve": "serving.serve",
    "upload": "modules.upload",
    "modules": "modules.modules",
    "inspect": "modules.inspect",
    "rm": "modules.rm",
    "instantiate": "instances.instantiate",
    "instances": "instances.instances",
    "call": "instances.call",
    "close": "instances.close",
    "exec": "execution.exec_",
    "run": "run.run",
    "compile": "compilation.compile_",
    "stores": "instances.stores",
    "create-store": "instances.create_store",
    "close-store": "instances.close_store",
    "stats": "server.stats",
    "health": "server.health",
}
"""The commands, in the order of a module's life, and where each is defined. Only the one that is wanted is loaded."""


class Commands(click.Group):
    """Loads a command when it is asked for: `run --local` needs no gRPC, and should not wait for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(".")
        command: click.Command = getattr(import_module(f"farcall.client.command_line.{module}"), attribute)
        for option in command.params:
            if isinstance(option, click.Option):
                name = option.opts[0].removeprefix("--")
                option.envvar = f"FARCALL_{cmd_name}_{name}".replace("-", "_").upper()
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="farcall", prog_name="farcall")
@shared_options(*ALL, environment=True)
def cli() -> None:
    """Run WebAssembly functions remotely, at native speed.

    Options may stand before or after the command's name. --server, --store and the others can be set by
    environment variables, too: FARCALL_SERVER, FARCALL_STORE, FARCALL_JSON, FARCALL_TIMEOUT, and so on.

    Exit status: 0 done; 1 the guest trapped or the request failed, with a message on standard error; 2
    wrong usage. `run` exits with the program's own, and with 134 where it trapped.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command, and exits with the status that it earned."""
    _open_standard_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _open_standard_streams() -> None:
    """Make sure that 0, 1 and 2 are no other files: whoever started this process may have closed them.

    What is opened next would have their numbers, and a connection to a server would be taken for standard output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _print_error(error: Exception, as_json: bool) -> None:
    from farcall.client.command_line import output  # noqa: PLC0415 - nobody should wait for it in vain

    output.print_error(error, as_json)


def run(arguments: Sequence[str]) -> int:
    """Runs the command; its exit status."""
    settings = Settings()
    try:
        # Without click's own ending, as usage errors are to be JSON, too, where that is asked for.
        status = cli.main(list(arguments), "farcall", standalone_mode=False, obj=settings)
    except click.UsageError as error:
        if settings.json or "--json" in arguments:
            _print_error(error, True)
        else:
            error.show()
        return WRONG_USAGE
    except (FarcallError, click.ClickException) as error:
        _print_error(error, settings.json)
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep Python from complaining when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        _print_error(error, settings.json)
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else DONE
