"""A program of a real compiler's with its C library, on each kind of file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from farcall.engine import ProgramExit
from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.memory import MemoryFileSystem
from farcall.engine.host.wasi.streams import BytesInput, BytesOutput
from farcall.engine.host.wasi.system import WasiSystem

FILES = Path(__file__).with_name("programs") / "files.wasm"

EXPECTED = b"""argument one
argument two words
greeting hello
read first
read second
. .. linked moved symbolic
end
"""


@pytest.mark.parametrize("kind", ["memory", "host"])
def test_the_c_library_works_with_files(store, tmp_path, kind):
    output, error = BytesOutput(), BytesOutput()
    system = WasiSystem(
        ["files", "one", "two words"],
        {"GREETING": "hello"},
        input=BytesInput(b"first\nsecond\n"),
        output=output,
        error=error,
    )
    file_system = MemoryFileSystem() if kind == "memory" else HostDirectory(tmp_path)
    system.add_directory("/data", file_system.open_root(system.program.handles))
    instance = store.instantiate(store.engine.load_module(FILES.read_bytes()), system.imports)
    with pytest.raises(ProgramExit) as caught:
        instance.exports._start()
    assert output.content == EXPECTED
    assert error.content == b"0 failures\n"
    assert caught.value.code == 42
    assert list(tmp_path.iterdir()) == []
    file_system.close()
