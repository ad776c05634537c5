"""What programs see of the types: usual code passes mypy --strict."""

import subprocess
import sys

PROGRAM = """
from pathlib import Path

from farcall.client import AsyncClient, Client, Retries, Tls, Trap
from farcall.engine import Engine, Store


def synchronous() -> int:
    with Client("localhost:7070", timeout=3, retries=Retries(2)) as client:
        library = client.store().instantiate(client.upload(Path("library.wasm")), name="library")
        links = {"env": library}
        with client.store().instantiate("digest", links=links) as other:
            other.exports["memory"]
        store = client.create_store()
        instance = store.instantiate("digest", links={"env": library, ("env", "f"): (library, "g")})
        try:
            print(instance.exports.add(1, 2, timeout=1.0), instance.function("add").call_many([(1, 2)]))
        except Trap as error:
            print(error.kind, error.backtrace[0].function_name)
        data: bytes = instance.memory()[0:4]
        byte: int = instance.memory()[0]
        with instance.stream() as stream:
            print(stream.send("add", 1, 2).result())
        return byte + len(data)


async def asynchronous() -> None:
    async with AsyncClient("localhost", tls=Tls(root_certificates=Path("authority.pem"))) as client:
        store = await client.create_store()
        instance = await store.instantiate(await client.upload(b""))
        print(await instance.exports.add(1, 2))
        async for module in client.modules():
            print(module.digest)
        async with instance.stream() as stream:
            print(await (await stream.send("add", 1, 2)).result())


def embedded() -> None:
    with Engine() as engine, Store(engine) as store:
        instance = store.instantiate(engine.load_module(b""))
        print(instance.exports.add(1, 2), instance.memory("memory").read(0, 1))
"""


def test_usual_programs_pass_the_type_checker(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stdout
