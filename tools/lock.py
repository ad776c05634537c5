"""Writes constraints.txt: every package that farcall, its development tools and its build need, with its version.

Run as `python tools/lock.py constraints.txt` (the Makefile's `make lock`), with the oldest Python that farcall
supports: later ones need no package that it does not. It installs the newest releases that pyproject.toml allows in a
throw-away environment and lists what came.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HEADER = """\
# The versions that farcall is developed and tested with; written by `make lock`, not by hand.
# Use: pip install --constraint constraints.txt farcall
"""


def main() -> None:
    """Resolve, and write the file that the command line names."""
    parser = argparse.ArgumentParser(description="Write the versions that pip resolves now.")
    parser.add_argument("output", type=Path)
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        pip = [str(Path(directory) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
        subprocess.run([*pip, "install", "hatchling"], check=True)
        subprocess.run([*pip, "install", "--no-build-isolation", "--editable", f"{ROOT}[dev]"], check=True)
        # --all: setuptools too, which pip leaves out otherwise, and which grpcio-tools needs.
        freeze = [*pip, "freeze", "--all", "--exclude", "pip", "--exclude", "farcall"]
        versions = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    output.write_text(HEADER + versions)


if __name__ == "__main__":
    main()
