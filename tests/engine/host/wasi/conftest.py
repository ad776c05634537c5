from __future__ import annotations

import pytest

from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.wasi.streams import BytesInput, BytesOutput
from farcall.engine.host.wasi.system import WasiSystem
from tests.engine.host.wasi.wasi_guest import WasiGuest


@pytest.fixture
def output():
    return BytesOutput()


@pytest.fixture
def system(output):
    system = WasiSystem(
        ["program", "first", "ä"], {"A": "1", "B": ""}, input=BytesInput(b"input"), output=output
    )
    file_system = MemoryFileSystem()
    system.add_directory("/data", file_system.open_root(system.program.handles))
    yield system
    system.close()
    file_system.close()


@pytest.fixture
def guest(store, system):
    return WasiGuest(store, system)
