"""Standard streams, waiting for them and for clocks, sockets, and that all of it ends when the guest is to stop."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time

import pytest

from farcall.engine import TerminatedError
from farcall.engine.host.wasi import rights
from farcall.engine.host.wasi.errno import Errno, WasiError
from farcall.engine.host.wasi.os_streams import DescriptorInput, DescriptorOutput
from farcall.engine.host.wasi.streams import ByteQueue, BytesOutput
from farcall.engine.host.wasi.system import WasiSystem
from tests.engine.guests import Background
from tests.engine.host.wasi.wasi_guest import UNSTABLE, WasiGuest

CLOCK, READ, WRITE = 0, 1, 2
HOUR = 3600 * 10**9


def subscription(user_data, kind, number, timeout=0, flags=0):
    return struct.pack("<QB7xI4xQQH6x", user_data, kind, number, timeout, 0, flags)


def poll(guest, *subscriptions):
    """The error number, and (user data, error, type, bytes, flags) of each event."""
    content = b"".join(subscriptions)
    places = guest.put(content), guest.room(32 * len(subscriptions)), guest.room(4)
    error = guest.poll_oneoff(places[0], places[1], len(subscriptions), places[2])
    if error:
        return error, []
    count = guest.number(places[2])
    return error, [guest.unpack("<QHB5xQH6x", places[1] + 32 * event) for event in range(count)]


# -- Streams -----------------------------------------------------------------------------------------------------------


def test_standard_input_and_output_of_bytes(guest, output):
    assert guest.read(0, 2, 1) == (0, b"inp")
    assert guest.read(0, 100) == (0, b"ut")
    assert guest.read(0, 100) == (0, b"")
    assert guest.write(1, b"some ", b"output") == (0, 11)
    assert output.content == b"some output"
    assert guest.write(2, b"nobody sees this") == (0, 16)
    assert guest.write(0, b"x")[0] == Errno.NOTCAPABLE
    assert guest.read(1, 1)[0] == Errno.NOTCAPABLE


def test_streams_have_no_position(guest):
    place = guest.room(8)
    assert guest.fd_seek(1, 0, 1, place) == Errno.SPIPE
    assert guest.fd_tell(1, place) == Errno.SPIPE
    assert guest.fd_pread(0, *guest.vectors(1), 0, place) == Errno.SPIPE
    assert guest.fd_pwrite(1, *guest.vectors(b"x"), 0, place) == Errno.SPIPE


def test_output_beyond_its_limit_has_no_space(store):
    output = BytesOutput(4)
    guest = WasiGuest(store, WasiSystem(output=output))
    assert guest.write(1, b"abcdef") == (0, 4)
    assert guest.write(1, b"g")[0] == Errno.NOSPC
    assert output.content == b"abcd"


def test_a_guest_reads_what_another_thread_brings_later(store):
    queue = ByteQueue()
    guest = WasiGuest(store, WasiSystem(input=queue))
    reading = Background(lambda: guest.read(0, 10))
    assert queue.put(b"late")
    reading.join()
    assert reading.result == (0, b"late")
    queue.end()
    assert guest.read(0, 10) == (0, b"")


def test_a_slow_reader_holds_the_guest_back_and_loses_nothing(store):
    queue = ByteQueue(100)
    guest = WasiGuest(store, WasiSystem(output=queue))
    content = bytes(range(256)) * 8
    writing = Background(lambda: guest.write(1, content))
    received = b""
    changed = threading.Event()
    queue.add_waker(changed.set)
    while len(received) < len(content):
        chunk = queue.take()
        if chunk is None:
            changed.wait()
            changed.clear()
        else:
            assert len(chunk) <= 100
            received += chunk
    writing.join()
    assert writing.result == (0, len(content))
    assert received == content


def test_a_reader_that_is_gone_is_a_broken_pipe(store):
    queue = ByteQueue()
    guest = WasiGuest(store, WasiSystem(output=queue))
    queue.abandon()
    assert guest.write(1, b"x")[0] == Errno.PIPE


def test_what_does_not_block_says_so(store):
    queue = ByteQueue(4)
    guest = WasiGuest(store, WasiSystem(input=queue, output=queue))
    nonblock = 4
    assert guest.fd_fdstat_set_flags(0, nonblock) == 0
    assert guest.fd_fdstat_set_flags(1, nonblock) == 0
    assert guest.read(0, 1)[0] == Errno.AGAIN
    assert guest.write(1, b"123456") == (0, 4)
    assert guest.write(1, b"56")[0] == Errno.AGAIN
    assert guest.read(0, 9) == (0, b"1234")
    assert guest.fd_fdstat_set_flags(0, 2) == Errno.INVAL


def test_pipes_of_the_system_in_both_directions(store):
    (read_end, write_end), (result_end, output_end) = os.pipe(), os.pipe()
    guest = WasiGuest(store, WasiSystem(input=DescriptorInput(read_end), output=DescriptorOutput(output_end)))
    reading = Background(lambda: guest.read(0, 10))
    os.write(write_end, b"piped")
    reading.join()
    assert reading.result == (0, b"piped")
    content = b"x" * 100_000  # more than a pipe holds
    writing = Background(lambda: guest.write(1, content[:30_000], content[30_000:]))
    received = b""
    while len(received) < len(content):
        received += os.read(result_end, 1 << 16)
    writing.join()
    assert writing.result == (0, len(content))
    assert os.get_blocking(output_end)  # of everybody who has the pipe
    os.close(write_end)
    assert guest.read(0, 10) == (0, b"")
    os.close(result_end)
    assert guest.write(1, b"x")[0] == Errno.PIPE
    for descriptor in (read_end, output_end):
        os.close(descriptor)


def test_streams_on_what_is_not_open_are_refused():
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)
    with pytest.raises(OSError, match="Bad file descriptor"):
        DescriptorOutput(write_end)


def test_what_was_opened_for_a_stream_is_closed_with_it(store):
    read_end, write_end = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    output = DescriptorOutput(write_end)
    guest = WasiGuest(store, WasiSystem(input=DescriptorInput(read_end), output=output, error=output))
    assert guest.write(1, b"ab") == (0, 2)
    assert guest.read(0, 1) == (0, b"a")
    assert guest.fd_close(1) == 0
    assert guest.write(2, b"x")[0] == Errno.BADF  # and not into whatever got the number since
    guest.instance.close()
    assert len(os.listdir("/proc/self/fd")) == before
    os.fstat(read_end)
    os.fstat(write_end)
    os.close(read_end)
    os.close(write_end)


def test_a_queue_passes_on_whole_chunks_and_its_end():
    queue = ByteQueue(10)
    assert queue.take() is None
    assert queue.put(b"x" * 50)  # whatever its size, it fits where nothing is
    assert not queue.put(b"y")
    chunk = queue.take()
    assert chunk is not None
    assert bytes(chunk) == b"x" * 50
    queue.end()
    end = queue.take()
    assert end is not None
    assert len(end) == 0
    queue.abandon()
    with pytest.raises(WasiError, match="PIPE"):
        queue.put(b"z")


# -- Waiting for several things ----------------------------------------------------------------------------------------


def test_polling_tells_what_is_ready_and_nothing_else(guest):
    error, events = poll(
        guest, subscription(1, READ, 0), subscription(2, WRITE, 1), subscription(3, CLOCK, 1, HOUR)
    )
    assert error == 0
    assert events == [(1, 0, READ, 5, 0), (2, 0, WRITE, 0, 0)]


def test_polling_a_clock_waits_for_it(guest):
    before = time.monotonic_ns()
    error, events = poll(guest, subscription(7, CLOCK, 1, 2_000_000), subscription(8, CLOCK, 1, HOUR))
    assert time.monotonic_ns() - before >= 2_000_000
    assert (error, events) == (0, [(7, 0, CLOCK, 0, 0)])
    absolute = time.time_ns() - 1
    assert poll(guest, subscription(9, CLOCK, 0, absolute, 1)) == (0, [(9, 0, CLOCK, 0, 0)])


def test_each_wrong_subscription_has_its_own_error(guest):
    error, events = poll(
        guest,
        subscription(1, READ, 99),
        subscription(2, CLOCK, 9, 0),
        subscription(3, CLOCK, 2, 0),
        subscription(4, CLOCK, 1, 0, 2),
        subscription(5, 3, 0),
        subscription(6, CLOCK, 1, HOUR),
    )
    assert error == 0
    assert [(event[0], event[1]) for event in events] == [
        (1, Errno.BADF),
        (2, Errno.INVAL),
        (3, Errno.NOTSUP),
        (4, Errno.INVAL),
        (5, Errno.INVAL),
    ]


def test_polling_nothing_or_too_much_is_invalid(guest):
    place = guest.room(8)
    assert guest.poll_oneoff(place, place, 0, place) == Errno.INVAL
    assert guest.poll_oneoff(place, place, 1 << 20, place) == Errno.FAULT


def test_polling_files_tells_how_much_is_left(guest):
    _, number = guest.open(b"file", 1)
    assert guest.write(number, b"0123456789") == (0, 10)
    assert guest.fd_seek(number, 4, 0, guest.room(8)) == 0
    assert poll(guest, subscription(1, READ, number)) == (0, [(1, 0, READ, 6, 0)])


def test_polling_notices_what_comes_meanwhile(store):
    queue = ByteQueue()
    guest = WasiGuest(store, WasiSystem(input=queue))
    polling = Background(lambda: poll(guest, subscription(1, READ, 0), subscription(2, CLOCK, 1, HOUR)))
    queue.put(b"abc")
    polling.join()
    assert polling.result == (0, [(1, 0, READ, 3, 0)])
    queue.take()
    queue.end()
    assert poll(guest, subscription(1, READ, 0)) == (0, [(1, 0, READ, 0, 1)])


def test_the_first_snapshot_has_another_subscription(store, system):
    guest = WasiGuest(store, system, UNSTABLE)
    clock = struct.pack("<QB7xQI4xQQH6x", 5, CLOCK, 0, 1, 1000, 0, 0)
    assert len(clock) == 56
    assert poll(guest, clock) == (0, [(5, 0, CLOCK, 0, 0)])


# -- Requests to stop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sleep", "read", "write", "read of a pipe", "accept"])
def test_a_guest_that_waits_is_stopped(store, kind):
    queue = ByteQueue(1)
    pipe = os.pipe()
    listener = socket.create_server(("127.0.0.1", 0))
    system = WasiSystem(
        input=DescriptorInput(pipe[0]) if kind == "read of a pipe" else queue,
        output=queue,
        listeners=[listener],
    )
    guest = WasiGuest(store, system)
    work = {
        "sleep": lambda: poll(guest, subscription(1, CLOCK, 1, HOUR)),
        "read": lambda: guest.read(0, 1),
        "write": lambda: guest.write(1, b"too much"),
        "read of a pipe": lambda: guest.read(0, 1),
        "accept": lambda: guest.sock_accept(3, 0, 64),
    }[kind]
    waits = threading.Event()
    waiter = next(iter(system._guests.values())).waiter
    wait = waiter.wait

    def noticed(*arguments):
        waits.set()
        return wait(*arguments)

    waiter.wait = noticed
    waiting = Background(work)
    waits.wait()
    store.close()
    waiting.join()
    assert isinstance(waiting.error, TerminatedError)
    assert waiting.error.backtrace
    for descriptor in pipe:
        os.close(descriptor)


# -- Sockets -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(store):
    """A guest with a connection, as descriptor 4, and its other side."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    guest = WasiGuest(store, WasiSystem(listeners=[listener]))
    with socket.create_connection(address) as other:
        place = guest.room(4)
        assert guest.sock_accept(3, 0, place) == 0
        assert guest.number(place) == 4
        yield guest, other


def receive(guest, flags, *sizes):
    length, received_flags = guest.room(4), guest.room(2)
    vectors = guest.vectors(*sizes)
    error = guest.sock_recv(4, *vectors, flags, length, received_flags)
    return error, guest.number(length)


def test_sockets_send_and_receive(connected):
    guest, other = connected
    sent = guest.room(4)
    assert guest.sock_send(4, *guest.vectors(b"hello ", b"there"), 0, sent) == 0
    assert guest.number(sent) == 11
    assert other.recv(100) == b"hello there"
    other.sendall(b"answer")
    assert receive(guest, 1, 100) == (0, 6)  # a peek
    assert receive(guest, 2, 3, 3) == (0, 6)
    assert guest.write(4, b"as a file") == (0, 9)
    assert other.recv(100) == b"as a file"
    other.sendall(b"x")
    assert guest.read(4, 10) == (0, b"x")
    assert guest.sock_send(4, *guest.vectors(b"x"), 1, sent) == Errno.INVAL
    assert receive(guest, 4, 1)[0] == Errno.INVAL


def test_sockets_are_shut_down(connected):
    guest, other = connected
    assert guest.sock_shutdown(4, 2) == 0
    assert other.recv(1) == b""
    assert guest.write(4, b"x")[0] == Errno.PIPE
    other.close()
    assert guest.read(4, 1) == (0, b"")
    assert guest.sock_shutdown(4, 0) == Errno.INVAL
    assert guest.sock_shutdown(4, 4) == Errno.INVAL


def test_sockets_are_polled(connected):
    guest, other = connected
    assert poll(guest, subscription(1, READ, 4), subscription(2, WRITE, 4)) == (0, [(2, 0, WRITE, 0, 0)])
    other.sendall(b"abc")
    assert poll(guest, subscription(1, READ, 4), subscription(2, CLOCK, 1, HOUR)) == (0, [(1, 0, READ, 3, 0)])


def test_what_is_no_socket_says_so(connected):
    guest, _ = connected
    place = guest.room(8)
    assert guest.sock_shutdown(1, 1) == Errno.NOTSOCK
    assert guest.sock_accept(0, 0, place) == Errno.NOTSOCK
    assert guest.sock_send(99, place, 0, 0, place) == Errno.BADF
    assert guest.sock_accept(4, 0, place) == Errno.INVAL
    assert guest.read(3, 1)[0] == Errno.NOTCAPABLE
    status = guest.room(24)
    assert guest.fd_fdstat_get(4, status) == 0
    assert guest.unpack("<BxHxxxxQ", status) == (6, 0, rights.SOCKET)
