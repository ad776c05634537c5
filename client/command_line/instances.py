"""Commands about stores, instances and their functions: instantiate, instances, call, close, and those of stores."""

from __future__ import annotations

import click

from farcall.client.calls.instances import LinkKey, LinkProvider
from farcall.client.command_line import output
from farcall.client.command_line.guest_arguments import CommandWithNumbers, guest_arguments, read_arguments
from farcall.client.command_line.settings import ALL, REMOTE, Settings, pass_settings, shared_options
from farcall.client.types import InstanceInfo, Link


def _links(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[LinkKey, LinkProvider]:
    """The name of an instance holds no `=`, so the last one is where it begins."""
    links: dict[LinkKey, LinkProvider] = {}
    for text in texts:
        import_module, separator, instance = text.rpartition("=")
        if not separator or not instance:
            raise click.BadParameter(f"{text!r} is not of the form IMPORT_MODULE=INSTANCE")
        links[import_module] = instance
    return links


@click.command(short_help="Instantiate a module, linked as told.")
@click.argument("module")
@click.option("--name", default="", metavar="NAME", help="The instance's name; made up where none is given.")
@click.option(
    "--link",
    "links",
    multiple=True,
    metavar="IMPORT_MODULE=INSTANCE",
    callback=_links,
    help="Take the imports from IMPORT_MODULE of an instance. May be given several times.",
)
@click.option(
    "--link-import",
    "single_links",
    multiple=True,
    nargs=4,
    metavar="IMPORT_MODULE IMPORT_NAME INSTANCE EXPORT",
    help="Take a single import of an instance; goes before --link. May be given several times.",
)
@shared_options(*ALL)
@pass_settings
def instantiate(
    settings: Settings,
    module: str,
    name: str,
    links: dict[LinkKey, LinkProvider],
    single_links: tuple[tuple[str, str, str, str], ...],
) -> None:
    """Instantiate a MODULE, given as its digest or the unique start of it, and print the instance's name."""
    all_links: dict[LinkKey, LinkProvider] = links | {
        (import_module, import_name): (instance, export)
        for import_module, import_name, instance, export in single_links
    }
    with settings.client() as client:
        digest = client.module(module).digest
        instance = settings.store_of(client).instantiate(digest, name=name, links=all_links)
    if settings.json:
        output.print_json(instance.information)
    else:
        output.print_line(instance.name)


@click.command()
@shared_options(*ALL)
@pass_settings
def instances(settings: Settings) -> None:
    """List the open instances of the store."""
    with settings.client() as client:
        entries = list(settings.store_of(client).instances())
    if settings.json:
        kept = ("name", "store", "module", "links", "create_time")
        output.print_json([{name: getattr(entry, name) for name in kept} for entry in entries])
        return
    output.print_table(
        ("INSTANCE", "MODULE", "CREATED", "LINKS"),
        [
            (
                entry.name,
                output.digest_text(entry.module),
                output.time_text(entry.create_time),
                _links_text(entry),
            )
            for entry in entries
        ],
    )


def _links_text(instance: InstanceInfo) -> str:
    return " ".join(_link_text(link) for link in instance.links)


def _link_text(link: Link) -> str:
    wanted = link.import_module if link.import_name is None else f"{link.import_module}.{link.import_name}"
    found = link.instance if link.export_name is None else f"{link.instance}.{link.export_name}"
    return f"{wanted}={found}"


@click.command(cls=CommandWithNumbers, short_help="Call a function of an instance.")
@click.argument("instance")
@click.argument("function")
@guest_arguments
@shared_options(*ALL)
@pass_settings
def call(settings: Settings, instance: str, function: str, arguments: tuple[str, ...]) -> None:
    """Call an exported FUNCTION of an INSTANCE, and print each result on its own line.

    Arguments are integers (decimal or 0x hexadecimal, in the signed range), floats (also inf, nan, and
    hexadecimal with a p exponent) or null. Floats are printed so that they read back exactly.
    """
    with settings.client() as client:
        callee = settings.store_of(client).instance(instance).function(function)
        results = callee(*read_arguments(arguments, callee.type))
    output.print_results(results, callee.type.results, settings.json)


@click.command(short_help="Close instances.")
@click.argument("instances", nargs=-1, required=True, metavar="INSTANCE...")
@shared_options(*ALL)
@pass_settings
def close(settings: Settings, instances: tuple[str, ...]) -> None:
    """Close an INSTANCE. What other instances import from it stays alive for them."""
    with settings.client() as client:
        store = settings.store_of(client)
        for instance in instances:
            store.close_instance(instance)
    if settings.json:
        output.print_json({"closed": instances})


@click.command()
@shared_options(*REMOTE)
@pass_settings
def stores(settings: Settings) -> None:
    """List the open stores."""
    with settings.client() as client:
        entries = list(client.stores())
    if settings.json:
        output.print_json(entries)
        return
    output.print_table(
        ("STORE", "INSTANCES", "CREATED"),
        [(entry.name, entry.instance_count, output.time_text(entry.create_time)) for entry in entries],
        right=("INSTANCES",),
    )


@click.command(name="create-store", short_help="Create a store.")
@click.argument("name", default="")
@click.option("--max-instances", type=click.IntRange(min=1), help="How many instances may be open in it.")
@click.option(
    "--max-memory-pages", type=click.IntRange(min=1), help="Pages of 64 KiB of all its memories together."
)
@click.option("--max-table-elements", type=click.IntRange(min=1), help="Elements of each of its tables.")
@shared_options(*REMOTE)
@pass_settings
def create_store(settings: Settings, /, name: str, **limits: int | None) -> None:
    """Create a store, and print its NAME, which is made up where none is given."""
    with settings.client() as client:
        store = client.create_store(name, **limits)
        if settings.json:
            output.print_json(store.info())
        else:
            output.print_line(store.name)


@click.command(name="close-store", short_help="Close stores with all that is in them.")
@click.argument("stores", nargs=-1, required=True, metavar="STORE...")
@shared_options(*REMOTE)
@pass_settings
def close_store(settings: Settings, stores: tuple[str, ...]) -> None:
    """Close a STORE with all its instances, and stop the guests that run in it."""
    with settings.client() as client:
        for store in stores:
            client.store(store).close()
    if settings.json:
        output.print_json({"closed": stores})
