"""Pagination, resource names, and answers to repeated requests."""

import asyncio
import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farcall.proto.farcall.v1.store_service_pb2 import CreateStoreRequest, CreateStoreResponse, Store
from farcall.server.errors import RequestError
from farcall.server.pagination import page
from farcall.server.request_ids import RememberedAnswers
from farcall.server.resource_names import (
    check_instance_id,
    check_store_id,
    instance_name,
    module_name,
    parse_instance_name,
    parse_module_name,
    parse_store_name,
    store_name,
)


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 20))
def test_pages_hold_every_entry_once_and_in_order(names, size):
    entries, seen, token = sorted(names), [], None
    while token is None or token:
        chosen, token = page(entries, str, size, token or "")
        assert len(chosen) <= size
        seen += chosen
    assert seen == entries


def test_page_sizes():
    entries = [f"{number:05}" for number in range(3000)]
    assert len(page(entries, str, 0, "")[0]) == 50
    assert len(page(entries, str, 5000, "")[0]) == 1000


@given(st.text(max_size=20))
def test_no_token_breaks_anything(token):
    with contextlib.suppress(RequestError):
        assert len(page(["a", "b"], str, 1, token)[0]) <= 1


STORE_IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
INSTANCE_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)


@given(STORE_IDS, INSTANCE_IDS)
def test_names_are_parsed_as_they_were_made(store, instance):
    check_store_id(store)
    check_instance_id(instance)
    assert parse_store_name(store_name(store), "name") == store
    assert parse_instance_name(instance_name(store, instance), "name") == (store, instance)


@given(st.text(max_size=100).filter(lambda name: not name.startswith(("modules/", "stores/"))))
def test_what_is_no_name_is_refused_with_the_form_it_must_have(name):
    for parse in (parse_module_name, parse_store_name, parse_instance_name):
        with pytest.raises(RequestError, match="name: must have the form"):
            parse(name, "name")


def test_module_names():
    assert parse_module_name(module_name("0a" * 32), "name") == "0a" * 32


# -- Repeated requests -------------------------------------------------------------------------------------------------

REQUEST = CreateStoreRequest(store_id="a")


def answered(number):
    return CreateStoreResponse(store=Store(name=f"stores/{number}"))


class Maker:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.made = 0

    async def __call__(self):
        self.made += 1
        await asyncio.sleep(0.01)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_requests_without_an_id_are_all_done():
    answers, make = RememberedAnswers(10), Maker(answered(1), answered(2))
    assert [await answers.answer("", REQUEST, make) for _ in range(2)] == [answered(1), answered(2)]


async def test_the_oldest_answers_are_forgotten_first():
    answers, ids = RememberedAnswers(2), [str(uuid.uuid4()) for _ in range(3)]
    make = Maker(*(answered(number) for number in range(4)))
    for request_id in ids:
        await answers.answer(request_id, REQUEST, make)

    assert await answers.answer(ids[2], REQUEST, make) == answered(2)
    assert await answers.answer(ids[0], REQUEST, make) == answered(3)


async def test_answers_are_forgotten_before_they_take_too_much_memory():
    answers, ids = (
        RememberedAnswers(100, limit_bytes=answered(1).ByteSize() * 2),
        [str(uuid.uuid4()) for _ in range(3)],
    )
    make = Maker(*(answered(number) for number in range(1, 5)))
    for request_id in ids:
        await answers.answer(request_id, REQUEST, make)

    assert await answers.answer(ids[2], REQUEST, make) == answered(3)
    assert await answers.answer(ids[0], REQUEST, make) == answered(4)


async def test_a_failure_is_told_to_all_that_wait_and_not_remembered():
    answers, request_id, make = RememberedAnswers(10), str(uuid.uuid4()), Maker(ValueError("no"), answered(1))
    outcomes = await asyncio.gather(
        *(answers.answer(request_id, REQUEST, make) for _ in range(3)), return_exceptions=True
    )

    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert make.made == 1
    assert await answers.answer(request_id, REQUEST, make) == answered(1)


async def test_when_the_first_caller_goes_away_the_next_one_tries():
    answers, request_id, make = RememberedAnswers(10), str(uuid.uuid4()), Maker(answered(1), answered(2))
    first = asyncio.ensure_future(answers.answer(request_id, REQUEST, make))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(answers.answer(request_id, REQUEST, make))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == answered(1)
    assert make.made == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_caller_that_waits_can_go_away():
    answers, request_id, make = RememberedAnswers(10), str(uuid.uuid4()), Maker(answered(1))
    first = asyncio.ensure_future(answers.answer(request_id, REQUEST, make))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(answers.answer(request_id, REQUEST, make))
    await asyncio.sleep(0)
    second.cancel()

    assert await first == answered(1)
    with pytest.raises(asyncio.CancelledError):
        await second


@pytest.mark.parametrize("upper", [False, True])
async def test_an_id_is_the_same_however_it_is_written(upper):
    answers, request_id, make = RememberedAnswers(10), str(uuid.uuid4()), Maker(answered(1))
    await answers.answer(request_id, REQUEST, make)
    again = request_id.upper() if upper else f"{{{request_id}}}"

    assert await answers.answer(again, REQUEST, make) == answered(1)
