"""The .proto files: generated code is up to date, and the style is buf's STANDARD and the AIPs'."""

import re
import subprocess
import sys
import sysconfig
from importlib import resources
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
FILES = sorted(path.name for path in (PROTO / "farcall/v1").glob("*.proto"))

SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")


def test_generated_code_is_up_to_date():
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools/generate_proto.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What protoc knows of every file, comments included."""
    output = tmp_path_factory.mktemp("descriptors") / "set"
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={resources.files('grpc_tools') / '_proto'}",
            f"--proto_path={sysconfig.get_path('purelib')}",
            "--include_source_info",
            f"--descriptor_set_out={output}",
            *(f"farcall/v1/{name}" for name in FILES),
        ]
    )
    assert status == 0
    return FileDescriptorSet.FromString(output.read_bytes()).file


def test_packages_are_versioned_and_match_their_directories(files):
    assert len(files) == len(FILES)
    for file in files:
        assert file.package == "farcall.v1"
        assert Path(file.name).parent.as_posix() == file.package.replace(".", "/")
        assert SNAKE.fullmatch(Path(file.name).stem)
        assert file.syntax == "proto3"
        assert not list(file.public_dependency)


def test_enumerations(files):
    for file in files:
        for enum in file.enum_type:
            assert PASCAL.fullmatch(enum.name)
            prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
            assert enum.value[0].number == 0
            assert enum.value[0].name == f"{prefix}UNSPECIFIED"
            assert all(value.name.startswith(prefix) and value.name.isupper() for value in enum.value)
            assert len({value.number for value in enum.value}) == len(enum.value)


def test_messages_and_fields(files):
    for file in files:
        for message in file.message_type:
            assert PASCAL.fullmatch(message.name)
            for entry in [*message.field, *message.oneof_decl]:
                assert SNAKE.fullmatch(entry.name.removeprefix("_")), (message.name, entry.name)


def test_services_and_methods(files):
    seen = set()
    for file in files:
        for service in file.service:
            assert service.name.endswith("Service")
            assert len(file.service) == 1
            assert Path(file.name).stem == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", service.name).lower()
            for method in service.method:
                assert PASCAL.fullmatch(method.name)
                assert method.input_type == f".farcall.v1.{method.name}Request"
                assert method.output_type == f".farcall.v1.{method.name}Response"
                assert not seen & {method.input_type, method.output_type}
                seen |= {method.input_type, method.output_type}


def test_list_methods_have_pages_and_create_methods_request_ids(files):
    fields = {
        message.name: {field.name for field in message.field}
        for file in files
        for message in file.message_type
    }
    for file in files:
        for service in file.service:
            for method in service.method:
                if method.name.startswith("List"):
                    assert fields[f"{method.name}Request"] >= {"page_size", "page_token"}
                    assert "next_page_token" in fields[f"{method.name}Response"]
                if method.name.startswith("Create"):
                    resource = method.name.removeprefix("Create").lower()
                    assert fields[f"{method.name}Request"] >= {"request_id", resource, f"{resource}_id"}
                if method.name.startswith(("Get", "Delete", "Close")) and service.name in (
                    "ModuleService",
                    "StoreService",
                    "InstanceService",
                ):
                    assert "name" in fields[f"{method.name}Request"]


def test_everything_has_a_comment(files):
    for file in files:
        commented = {
            tuple(location.path)
            for location in file.source_code_info.location
            if location.leading_comments.strip()
        }
        wanted = {}
        for m, message in enumerate(file.message_type):
            wanted[4, m] = message.name
            wanted |= {(4, m, 2, f): f"{message.name}.{field.name}" for f, field in enumerate(message.field)}
            synthetic = {field.oneof_index for field in message.field if field.proto3_optional}
            wanted |= {
                (4, m, 8, o): f"{message.name}.{oneof.name}"
                for o, oneof in enumerate(message.oneof_decl)
                if o not in synthetic
            }
        for e, enum in enumerate(file.enum_type):
            wanted[5, e] = enum.name
            wanted |= {(5, e, 2, v): value.name for v, value in enumerate(enum.value)}
        for s, service in enumerate(file.service):
            wanted[6, s] = service.name
            wanted |= {(6, s, 2, m): method.name for m, method in enumerate(service.method)}
        assert [name for path, name in wanted.items() if path not in commented] == []
