"""Clients that disappear in any phase of a program, and guests that misbehave: the server keeps nothing of them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
from real_server import FARCALL, running_server, wait_until
from test_command_run_alike import READ, SLEEP
from wasmtime import wat2wasm

from farcall.client import Client, HostDirectory, TemporaryDirectory
from farcall.proto.farcall.v1 import program_service_pb2_grpc
from farcall.proto.farcall.v1.program_service_pb2 import ArchiveData, Program, RunProgramRequest
from farcall.proto.farcall.v1.wasi_pb2 import Archive, Mount, WasiConfiguration

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "server"))

from wasi_guests import FLOOD, SPIN, TRAP, WRITE_FILE

ROUNDS = 3

OPENS = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 64)
  (data (i32.const 100) "file") (data (i32.const 200) "a\\00b") (data (i32.const 300) "\\ff\\fe")
  (func $try (param $path i32) (param $length i32) (result i32)
    (call $open (i32.const 3) (i32.const 0) (local.get $path) (local.get $length) (i32.const 1)
      (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16)))
  (func $expect (param $error i32) (param $wanted i32)
    (if (i32.ne (local.get $error) (local.get $wanted)) (then (call $exit (local.get $error)))))
  (func (export "_start") (local $count i32)
    (call $expect (call $try (i32.const 200) (i32.const 3)) (i32.const 28))
    (call $expect (call $try (i32.const 300) (i32.const 2)) (i32.const 25))
    (call $expect (call $try (i32.const 0) (i32.const 1048576)) (i32.const 37))
    (call $expect (call $try (i32.const -1) (i32.const 2)) (i32.const 21))
    (call $expect (call $write (i32.const 1) (i32.const 65536) (i32.const 1000000) (i32.const 16)) (i32.const 21))
    (call $expect (call $write (i32.const 1) (i32.const 65536) (i32.const 500000) (i32.const 16)) (i32.const 28))
    (call $expect (call $write (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 16)) (i32.const 8))
    (loop $again
      (call $expect (call $try (i32.const 100) (i32.const 4)) (i32.const 0))
      (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 200))))
    (call $exit (i32.const 42))))"""
"""Tries what cannot be; then opens a file many times, and never closes it."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def server(tmp_path_factory, shared):
    directory = tmp_path_factory.mktemp("server")
    with running_server(directory, "--allow-dir", f"shared={shared}") as process:
        process.log = directory / "server.log"
        yield process


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


def wasm(source):
    return bytes(wat2wasm(source))


def during_the_archive(server, client):
    module = client.upload(wasm(SPIN)).digest
    mounts = [Mount(guest_path="/a", archive=Archive(size_bytes=1 << 20))]
    over = threading.Event()

    def requests():
        yield RunProgramRequest(
            program=Program(module=f"modules/{module}", wasi=WasiConfiguration(mounts=mounts))
        )
        yield RunProgramRequest(archive_data=ArchiveData(data=bytes(1 << 19)))
        over.wait(60)

    with grpc.insecure_channel(server.address) as channel:
        call = program_service_pb2_grpc.ProgramServiceStub(channel).RunProgram(requests())
        wait_until(lambda: client.server_info().counters["programs_running"] == 1)
        call.cancel()
        over.set()


def before_the_first_output(_server, client):
    program = client.run(client.upload(wasm(FLOOD)))
    program.stop()


def while_it_works(_server, client):
    with client.run(client.upload(wasm(SPIN))) as program:
        next(program.output())


def while_it_writes(_server, client):
    with client.run(client.upload(wasm(FLOOD))) as program:
        next(program.output())


def while_it_reads(_server, client):
    over = threading.Event()

    def nothing():
        over.wait(60)
        yield b""

    with client.run(client.upload(wasm(READ)), stdin=nothing()) as program:
        next(program.output())
    over.set()


def while_it_sleeps(_server, client):
    with client.run(client.upload(wasm(SLEEP))) as program:
        next(program.output())


def while_files_are_open(_server, client):
    mounts = {"/": HostDirectory("shared")}
    assert client.run_to_end(client.upload(wasm(OPENS)), mounts=mounts).exit_code == 42


def while_memory_files_are_open(_server, client):
    mounts = {"/": TemporaryDirectory(1 << 20)}
    assert client.run_to_end(client.upload(wasm(OPENS)), mounts=mounts).exit_code == 42
    assert client.run_to_end(client.upload(wasm(WRITE_FILE)), mounts=mounts).exit_code == 51


def after_a_trap_that_nobody_reads(_server, client):
    client.run(client.upload(wasm(TRAP))).stop()


def by_being_killed(server, client):
    command = [*FARCALL, "--server", server.address, "run", client.upload(wasm(SPIN)).digest]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(8) == b"spinning"
        process.send_signal(signal.SIGKILL)


PHASES = [
    during_the_archive,
    before_the_first_output,
    while_it_works,
    while_it_writes,
    while_it_reads,
    while_it_sleeps,
    while_files_are_open,
    while_memory_files_are_open,
    after_a_trap_that_nobody_reads,
    by_being_killed,
]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_nothing_stays_open_and_nothing_is_logged(server, client, phase):
    def idle():
        counters = client.server_info().counters
        return not counters["programs_running"] and not counters["memories_live"]

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    phase(server, client)  # threads, and what they keep, are there from the first time
    wait_until(idle)
    before = descriptors()
    for _ in range(ROUNDS):
        phase(server, client)
        wait_until(idle)
    wait_until(lambda: descriptors() <= before)
    assert server.log.read_text() == ""
