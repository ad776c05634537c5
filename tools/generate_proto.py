"""Generates the Python modules of `farcall.proto` from `proto/farcall/v1/*.proto`.

Run as `python tools/generate_proto.py` (the Makefile's `make proto`); with `--check` it writes nothing and
exits with 1 where the committed files are not what it would write. It needs the `dev` extra (grpcio-tools,
mypy-protobuf).

The import root of the .proto files is `proto/`, as buf's PACKAGE_DIRECTORY_MATCH and users of other languages
expect: they import `farcall/v1/value.proto`. protoc derives the Python module from that name
(`farcall.v1.value_pb2`), but here the modules are children of `farcall.proto`, so the import statements of
what it writes are moved there.
"""

from __future__ import annotations

import argparse
import re
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parent.parent / "proto"
PACKAGE_DIRECTORY = Path("farcall/v1")

_IMPORT = re.compile(r"\bfarcall(?=\.v1(?:\.\w+_pb2| import)\b)")


def generate(output: Path) -> None:
    """Runs protoc over every .proto file and writes the Python modules and stubs below `output`."""
    sources = sorted(
        str(path.relative_to(PROTO_ROOT)) for path in (PROTO_ROOT / PACKAGE_DIRECTORY).glob("*.proto")
    )
    services = [source for source in sources if source.endswith("_service.proto")]
    _run_protoc(sources, f"--python_out={output}", f"--mypy_out=quiet:{output}")
    _run_protoc(services, f"--grpc_python_out={output}", f"--mypy_grpc_out=quiet:{output}")
    for path in (output / PACKAGE_DIRECTORY).glob("*_pb2*.py*"):
        path.write_text(_IMPORT.sub("farcall.proto.farcall", path.read_text()))


def _run_protoc(sources: list[str], *outputs: str) -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO_ROOT}",
            f"--proto_path={resources.files('grpc_tools') / '_proto'}",
            f"--proto_path={sysconfig.get_path('purelib')}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            *outputs,
            *sources,
        ]
    )
    if status != 0:
        raise SystemExit(status)


def stale_files() -> list[str]:
    """Names of generated files that are missing, left over, or other than protoc would write them now."""
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        fresh = {path.name: path.read_text() for path in (Path(directory) / PACKAGE_DIRECTORY).iterdir()}
    committed = {
        path.name: path.read_text()
        for path in (PROTO_ROOT / PACKAGE_DIRECTORY).iterdir()
        if "_pb2" in path.name and path.suffix in {".py", ".pyi"}
    }
    return sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))


def main() -> int:
    """Generates, or checks with `--check`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if files are stale")
    if not parser.parse_args().check:
        generate(PROTO_ROOT)
        return 0
    stale = stale_files()
    for name in stale:
        print(f"stale: proto/{PACKAGE_DIRECTORY}/{name} (run `make proto`)", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
