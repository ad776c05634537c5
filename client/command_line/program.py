"""The command `farcall`: its commands, and what its exit status says."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from farcall.client.command_line import compilation, execution, instances, modules, output, server, serving
from farcall.client.command_line.settings import ALL, Settings, shared_options
from farcall.client.errors import FarcallError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class CommandsInOrder(click.Group):
    """Lists its commands in the order of a module's life."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)


@click.group(
    cls=CommandsInOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(version("farcall"), prog_name="farcall")
@shared_options(*ALL, environment=True)
def cli() -> None:
    """Run WebAssembly functions remotely, at native speed.

    Options may stand before or after the command's name. --server, --store and the others can be set by
    environment variables, too: FARCALL_SERVER, FARCALL_STORE, FARCALL_JSON, FARCALL_TIMEOUT, and so on.

    Exit status: 0 done; 1 the guest trapped or the request failed, with a message on standard error; 2
    wrong usage.
    """


for command in (
    serving.serve,
    modules.upload,
    modules.modules,
    modules.inspect,
    modules.rm,
    instances.instantiate,
    instances.instances,
    instances.call,
    instances.close,
    execution.exec_,
    compilation.compile_,
    instances.stores,
    instances.create_store,
    instances.close_store,
    server.stats,
    server.health,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command, and exits with the status that it earned."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs the command; its exit status."""
    settings = Settings()
    try:
        # Without click's own ending, as usage errors are to be JSON, too, where that is asked for.
        status = cli.main(
            list(arguments), "farcall", standalone_mode=False, auto_envvar_prefix="FARCALL", obj=settings
        )
    except click.UsageError as error:
        if settings.json or "--json" in arguments:
            output.print_error(error, as_json=True)
        else:
            error.show()
        return WRONG_USAGE
    except (FarcallError, click.ClickException) as error:
        output.print_error(error, settings.json)
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep Python from complaining when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        output.print_error(error, settings.json)
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else DONE
