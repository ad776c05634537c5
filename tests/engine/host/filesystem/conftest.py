"""Directories of the host with something outside of them, and file systems of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from farcall.engine.host.filesystem.host_directory import HostDirectory
from farcall.engine.host.filesystem.system_calls import kernel_has_openat2

SECRET = b"nobody in the guest may see this"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that guests have no business in: `secret` is in it, and so is `inside`, which guests are given."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "inside2").mkdir()
    (tmp_path / "inside2" / "secret").write_bytes(SECRET)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "d").mkdir()
    (inside / "d" / "file").write_bytes(b"file in d")
    (inside / "file").write_bytes(b"file")
    return tmp_path


@pytest.fixture(params=["openat2", "walk"])
def host(request: pytest.FixtureRequest, outside: Path):
    """`inside` as a file system: by the kernel's resolution of paths, and by our own."""
    if request.param == "openat2" and not kernel_has_openat2():
        pytest.skip("the kernel has no openat2 (Linux 5.6), or something filters it")
    system = HostDirectory(outside / "inside", openat2=request.param == "openat2")
    yield system
    system.close()
