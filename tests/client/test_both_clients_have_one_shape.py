"""The synchronous and the asyncio client offer the same: classes, public methods, signatures, documentation of both."""

import inspect

import pytest

import farcall.client
from farcall.client import aio

CLASSES = [
    "Client",
    "Store",
    "Instance",
    "Function",
    "Memory",
    "Global",
    "Table",
    "Stream",
    "Pending",
    "Program",
]

TRANSLATIONS = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
}

SYNCHRONOUS_ONLY = {
    ("Memory", "__setitem__"),  # an assignment cannot be awaited: `write` does it
}


def members(class_):
    """What a class offers, inherited from farcall included: public names, and Python's protocols."""
    found = {}
    for base in reversed(class_.__mro__):
        if base.__module__.startswith("farcall"):
            found.update(
                (name, member)
                for name, member in vars(base).items()
                if not name.startswith("_")
                or name
                in (
                    "__call__",
                    "__getitem__",
                    "__setitem__",
                    "__enter__",
                    "__exit__",
                    "__aenter__",
                    "__aexit__",
                )
            )
    return found


def signature(member):
    """Parameters with their kinds, defaults and annotations; asyncio's words said in the synchronous ones."""
    text = str(inspect.signature(member))
    text = text.replace("AsyncIterator", "Iterator")
    return text.replace(
        "Iterable[Sequence[Argument]] | AsyncIterable[Sequence[Argument]]", "Iterable[Sequence[Argument]]"
    )


@pytest.mark.parametrize("name", CLASSES)
def test_same_members_and_signatures(name):
    synchronous, asynchronous = members(getattr(farcall.client, name)), members(getattr(aio, name))
    expected = {
        TRANSLATIONS.get(member, member) for member in synchronous if (name, member) not in SYNCHRONOUS_ONLY
    }
    assert expected == set(asynchronous)
    for member, implementation in synchronous.items():
        if (name, member) in SYNCHRONOUS_ONLY:
            continue
        counterpart = asynchronous[TRANSLATIONS.get(member, member)]
        assert isinstance(implementation, property) == isinstance(counterpart, property), member
        if callable(implementation):
            assert signature(counterpart) == signature(implementation), member
            if not member.startswith("__"):
                assert implementation.__doc__, member
                assert counterpart.__doc__, member


def test_constructors_of_clients_are_the_same():
    assert inspect.signature(farcall.client.Client) == inspect.signature(aio.Client)
    assert farcall.client.AsyncClient is aio.Client


def test_every_class_of_the_asyncio_package_is_covered():
    classes = {name for name in aio.__all__ if inspect.isclass(getattr(aio, name))}
    assert classes == set(CLASSES)
