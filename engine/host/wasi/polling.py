"""Waiting for several things at once: `poll_oneoff`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from select import POLLIN, POLLOUT

from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.calls import wasi_call
from farcall.engine.host.wasi.clocks import READ_CLOCK
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.guest import Guest
from farcall.engine.host.wasi.layouts import (
    EVENT,
    EVENT_HANGUP,
    SIZE,
    SUBSCRIPTION_ABSOLUTE,
    Clock,
    EventType,
)
from farcall.engine.host.wasi.waitable import Readiness, Waitable

_MOST_SUBSCRIPTIONS = 4096
"""More are `INVAL`, as of `poll` beyond the number of descriptors that there can be."""


@dataclass(slots=True)
class _Waiting:
    """A subscription that is waited for.

    Attributes:
        number: which one it is.
        look: what is ready, or None.
        handle: of a descriptor.
        events: of `select.poll`, of a descriptor.
        deadline: of a clock: nanoseconds on the monotonic one.
    """

    number: int
    look: Callable[[], Readiness | None]
    handle: Waitable | None = None
    events: int = 0
    deadline: int | None = None


@dataclass(frozen=True, slots=True)
class _Subscription:
    user_data: int
    type: int
    number: int
    """Of the clock or descriptor."""
    timeout: int
    flags: int


@wasi_call("i32 i32 i32 i32")
def poll_oneoff(guest: Guest, subscriptions: int, events: int, count: int, happened: int) -> int | None:
    """Wait until at least one of some subscriptions has something to tell, and tell it."""
    layout = guest.snapshot.subscription
    content = guest.bytes_at(subscriptions, layout.size * count)
    guest.bytes_at(events, EVENT.size * count)
    if not 0 < count <= _MOST_SUBSCRIPTIONS:
        return Errno.INVAL
    # Copied: events may be stored where subscriptions are.
    wanted = [
        _Subscription(user_data, kind, number, timeout, flags)
        for user_data, kind, number, timeout, _precision, flags in layout.iter_unpack(bytes(content))
    ]
    told = [
        (subscription, error, readiness)
        for subscription, (error, readiness) in zip(wanted, _poll(guest, wanted), strict=True)
        if readiness is not None
    ]
    memory = guest.memory()
    for position, (subscription, error, readiness) in enumerate(told):
        EVENT.pack_into(
            memory,
            events + position * EVENT.size,
            subscription.user_data,
            error,
            subscription.type,
            readiness.bytes,
            EVENT_HANGUP if readiness.hangup else 0,
        )
    SIZE.pack_into(memory, happened, len(told))
    return None


def _poll(guest: Guest, wanted: list[_Subscription]) -> list[tuple[Errno, Readiness | None]]:
    """For each subscription what it tells, or None: at least one tells something."""
    results: list[tuple[Errno, Readiness | None]] = [(Errno.SUCCESS, None)] * len(wanted)
    waiting = []
    failed = False
    now = time.monotonic_ns()
    for number, subscription in enumerate(wanted):
        try:
            waiting.append(_begin(guest, number, subscription, now))
        except WasiError as error:
            results[number] = error.errno, Readiness()
            failed = True
    for number, readiness in _wait(guest, waiting, at_once=failed):
        results[number] = Errno.SUCCESS, readiness
    return results


def _begin(guest: Guest, number: int, subscription: _Subscription, now: int) -> _Waiting:
    """Begin to wait. Raises WasiError where there is nothing to wait for."""
    if subscription.type == EventType.CLOCK:
        deadline = _deadline(subscription, now)
        return _Waiting(
            number, lambda: Readiness() if time.monotonic_ns() >= deadline else None, deadline=deadline
        )
    if subscription.type == EventType.FD_READ:
        right, events = rights.FD_READ, POLLIN
    elif subscription.type == EventType.FD_WRITE:
        right, events = rights.FD_WRITE, POLLOUT
    else:
        raise WasiError(Errno.INVAL, f"event type {subscription.type}")
    descriptor = guest.open_descriptor(subscription.number, 0)
    if not descriptor.rights & (rights.POLL_FD_READWRITE | right):
        raise WasiError(Errno.NOTCAPABLE)
    handle = descriptor.handle
    if not isinstance(handle, Waitable):
        return _Waiting(number, lambda: _of_file(guest, subscription))
    look = handle.readable if events == POLLIN else handle.writable
    return _Waiting(number, look, handle, events)


def _of_file(guest: Guest, subscription: _Subscription) -> Readiness:
    """A file is always ready; how much is left of it."""
    if subscription.type == EventType.FD_WRITE:
        return Readiness()
    handle = guest.open_descriptor(subscription.number, 0).handle
    try:
        return Readiness(max(handle.status().size - handle.tell(), 0))
    except WasiError:
        return Readiness()


def _deadline(subscription: _Subscription, now: int) -> int:
    """When a clock's subscription is over, on the monotonic clock. Raises WasiError."""
    if subscription.number not in (Clock.REALTIME, Clock.MONOTONIC):
        known = subscription.number < len(READ_CLOCK)
        raise WasiError(Errno.NOTSUP if known else Errno.INVAL, f"clock {subscription.number}")
    if subscription.flags & ~SUBSCRIPTION_ABSOLUTE:
        raise WasiError(Errno.INVAL, f"flags {subscription.flags:#x}")
    if not subscription.flags & SUBSCRIPTION_ABSOLUTE:
        return now + subscription.timeout
    return now + max(subscription.timeout - READ_CLOCK[subscription.number](), 0)


def _wait(guest: Guest, waiting: list[_Waiting], *, at_once: bool) -> list[tuple[int, Readiness]]:
    """Wait until something is ready, or only look; what is ready, by number of its subscription."""
    waiter = guest.waiter
    deadline = min((each.deadline for each in waiting if each.deadline is not None), default=None)
    handles = {each.handle for each in waiting if each.handle is not None}
    interests: dict[int, int] = {}
    for each in waiting:
        descriptor = None if each.handle is None else each.handle.descriptor
        if descriptor is not None:
            interests[descriptor] = interests.get(descriptor, 0) | each.events
    waiter.prepare()
    for handle in handles:
        handle.add_waker(waiter.wake)
    try:
        while True:
            ready = [(each.number, readiness) for each in waiting if (readiness := each.look()) is not None]
            if ready or at_once:
                return ready
            waiter.wait(list(interests.items()), deadline)
    finally:
        for handle in handles:
            handle.remove_waker(waiter.wake)
