"""What is distributed: the four packages and nothing else, from a wheel and from the source distribution alike."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "server", "client", "proto")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    directory = tmp_path_factory.mktemp("dist")
    build("wheel", directory, ROOT)
    return names_in_wheel(directory)


def build(target: str, directory: Path, root: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)], cwd=root, check=True
    )


def names_in_wheel(directory: Path) -> list[str]:
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as wheel:
        return sorted(wheel.namelist())


def test_the_wheel_holds_the_four_packages_with_their_types(wheel_names: list[str]) -> None:
    for package in PACKAGES:
        assert f"farcall/{package}/py.typed" in wheel_names
        assert f"farcall/{package}/__init__.py" in wheel_names
    assert "farcall/proto/farcall/v1/value.proto" in wheel_names
    assert "farcall/__init__.py" not in wheel_names, "farcall is a namespace package"


def test_the_wheel_holds_nothing_else(wheel_names: list[str]) -> None:
    others = [name for name in wheel_names if not re.match(r"farcall(-[\d.]+\.dist-info)?/", name)]
    assert not others
    assert {name.split("/")[1] for name in wheel_names if name.startswith("farcall/")} == set(PACKAGES)


def test_every_module_of_the_tree_is_in_the_wheel(wheel_names: list[str]) -> None:
    modules = {
        f"farcall/{path.relative_to(ROOT)}" for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    assert modules - set(wheel_names) == set()


def test_the_source_distribution_builds_the_same_wheel(tmp_path: Path, wheel_names: list[str]) -> None:
    build("sdist", tmp_path, ROOT)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    build("wheel", tmp_path / "dist", next((tmp_path / "source").iterdir()))
    assert names_in_wheel(tmp_path / "dist") == wheel_names


def test_constraints_pin_every_requirement() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"
    )
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    for requirement in map(Requirement, requirements):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in constraints.txt: run `make lock`"
        assert requirement.specifier.contains(version), f"{version} does not satisfy {requirement}"
