"""farcall's main job, from end to end, with every result checked: `python -m examples.demo` (`make demo`).

It starts a server, uploads the library and the application (library.c, application.c), links them, calls their
functions, runs a program (word_count.c), and compares each result with one that Python computes by itself. Its exit
status is 0 only if all are right.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from examples import expected
from examples.server_process import ServerFailedError, running_server
from farcall.client import ArchiveMount, Client, FarcallError, Function, Instance, Trap

DIRECTORY = Path(__file__).resolve().parent
LIBRARY = DIRECTORY / "library.wasm"
APPLICATION = DIRECTORY / "application.wasm"
WORD_COUNT = DIRECTORY / "word_count.wasm"

WIDTH, HEIGHT = 64, 24

console = Console()


class Journal:
    """Carries out steps, checks what comes out, and prints each with its time.

    Attributes:
        failures: how many results were wrong.
        checks: how many were looked at.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.checks = 0

    def heading(self, text: str) -> None:
        """Begin a part of the demonstration."""
        console.print(f"\n[bold]{text}[/]")

    def note(self, title: str, started: float) -> None:
        """Tell of something done, since a time of `time.perf_counter`."""
        self._line("", title, "", time.perf_counter() - started)

    def step(self, title: str, action: Callable[[], Any]) -> Any:
        """Do something that gives nothing to check; gives what it gives."""
        started = time.perf_counter()
        result = action()
        self.note(title, started)
        return result

    def check(self, title: str, action: Callable[[], Any], wanted: object) -> Any:
        """Do something whose result is known; gives what it gives."""
        started = time.perf_counter()
        result = action()
        self._judge(title, result, wanted, time.perf_counter() - started)
        return result

    def trap(self, title: str, action: Callable[[], Any], kind: str, functions: Sequence[str]) -> None:
        """Do what must trap, in these functions, the innermost first."""
        started = time.perf_counter()
        try:
            found: object = action()
            message = ""
        except Trap as trap:
            found = f"{trap.kind} in {', '.join(str(frame.function_name) for frame in trap.backtrace)}"
            message = str(trap)
        self._judge(title, found, f"{kind} in {', '.join(functions)}", time.perf_counter() - started)
        for line in message.splitlines():
            console.print(Text("    " + line, style="dim"))

    def _judge(self, title: str, result: object, wanted: object, seconds: float) -> None:
        right = type(result) is type(wanted) and result == wanted
        self.checks += 1
        self.failures += not right
        shown = _shorten(result) if right else f"{_shorten(result)}, but {_shorten(wanted)} is right"
        self._line("[green]✓[/]" if right else "[red]✗[/]", title, shown, seconds)

    def _line(self, mark: str, title: str, result: str, seconds: float) -> None:
        line = Text.assemble("  ", Text.from_markup(mark or " "), f" {title:<58} ", (f"{result:<36}", "cyan"))
        line.append(f" {seconds * 1e3:8.2f} ms", "dim")
        console.print(line, soft_wrap=True)


def _shorten(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes, {value[:6].hex()}..."
    if isinstance(value, list) and len(value) > 3:
        return f"{len(value)} of them"
    return str(value)


def main() -> int:
    """Run the demonstration; 0 if every result was right."""
    journal = Journal()
    started = stopping = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as directory, running_server(Path(directory)) as address:
            with Client(address) as client:
                demonstrate(journal, client)
            journal.heading("Stop")
            stopping = time.perf_counter()
    except (FarcallError, ServerFailedError) as error:
        console.print(Text(f"{type(error).__name__}: {error}", style="red"))
        return 1
    journal.note("SIGTERM: the server lets calls finish, and ends with exit status 0", stopping)
    seconds = time.perf_counter() - started
    right = journal.checks - journal.failures
    style = "red" if journal.failures else "green"
    console.print(f"\n[bold {style}]{right} of {journal.checks} results right[/], in {seconds:.1f} s")
    return 1 if journal.failures else 0


def demonstrate(journal: Journal, client: Client) -> None:
    """All that the server is asked for."""
    information = client.server_info()
    console.print(f"farcall {information.version} serves on {client.address}, code for {information.target}")

    def compilations() -> int:
        return client.server_info().counters["compiles_total"]

    journal.heading("Upload, instantiate, link")
    library_module = journal.step(f"upload {LIBRARY.name}", lambda: client.upload(LIBRARY))
    application_module = journal.step(f"upload {APPLICATION.name}", lambda: client.upload(APPLICATION))
    imports = sorted(
        {f"{entry.module}.{entry.name}" for entry in client.module(application_module.digest).imports}
    )
    console.print(f"  the application imports {', '.join(imports)}", style="dim", soft_wrap=True)
    journal.check("modules compiled", compilations, 2)
    store = client.create_store("demo")
    library: Instance = journal.step(
        "instantiate the library", lambda: store.instantiate(library_module, name="library")
    )
    application: Instance = journal.step(
        "instantiate the application, linked to the library",
        # The functions are imported from "library", the memory from "env": both are the library's.
        lambda: store.instantiate(
            application_module, name="application", links={"library": library, "env": library}
        ),
    )
    journal.check(
        "the application's data ends before the library's begins",
        lambda: address(application, "__heap_base") <= address(library, "__global_base"),
        True,
    )

    show_numbers(journal, library)
    show_buffers(journal, library, application)
    show_traps(journal, library, application)
    show_batches(journal, library.function("greatest_common_divisor"))

    journal.heading("The same bytes again compile nothing")

    again = journal.step(f"upload {LIBRARY.name} again", lambda: client.upload(LIBRARY))
    journal.check("it is the same module", lambda: again.digest, library_module.digest)
    second: Instance = journal.step(
        "instantiate it again, in a store of its own", lambda: client.create_store().instantiate(again)
    )
    journal.check("call it", lambda: second.exports.greatest_common_divisor(1071, 462), math.gcd(1071, 462))
    journal.check("modules compiled, still", compilations, 2)
    journal.check("its memory is its own", second.exports.allocated_bytes, 0)

    run_program(journal, client)


def address(instance: Instance, name: str) -> int:
    """The value of a global that the linker made: an address in the memory."""
    value = instance.global_(name).get()
    if not isinstance(value, int):
        raise TypeError(f"{name} is no address but {value!r}")
    return value


def show_numbers(journal: Journal, library: Instance) -> None:
    """Integers and floats as arguments and results."""
    journal.heading("Numbers")
    exports = library.exports
    journal.check(
        "i32: greatest_common_divisor(2147483646, -1234567890)",
        lambda: exports.greatest_common_divisor(2147483646, -1234567890),
        math.gcd(2147483646, -1234567890),
    )
    journal.check(
        "i64: power_modulo(3, 1000000000000, 998244353)",
        lambda: exports.power_modulo(3, 10**12, 998244353),
        pow(3, 10**12, 998244353),
    )
    colour = (0.25, 0.5, 0.75)
    journal.check(
        "f32: luminance(0.25, 0.5, 0.75)", lambda: exports.luminance(*colour), expected.luminance(*colour)
    )


def show_buffers(journal: Journal, library: Instance, application: Instance) -> None:
    """Arguments that are buffers: written to the library's memory, used by both modules, read back."""
    journal.heading("Buffers, in the memory that both modules share")
    memory = library.memory()

    def put(data: bytes) -> int:
        address: int = library.exports.allocate(len(data))
        memory.write(address, data)
        return address

    values = [math.sin(n) * 10.0**n for n in range(-10, 30)]
    doubles = put(struct.pack(f"<{len(values)}d", *values))
    journal.check(
        f"f64: mean of {len(values)} values",
        lambda: library.exports.mean(doubles, len(values)),
        expected.mean(values),
    )
    journal.check(
        "f64: standard_deviation of the same",
        lambda: library.exports.standard_deviation(doubles, len(values)),
        expected.standard_deviation(values),
    )

    colours = picture()
    grey = expected.to_grey(colours)
    colours_at, grey_at = put(colours), put(bytes(len(grey)))
    image = (grey_at, WIDTH, HEIGHT)
    application.exports.to_grey(colours_at, grey_at, len(grey))
    journal.check(
        f"to_grey: a picture of {WIDTH} by {HEIGHT}", lambda: memory[grey_at : grey_at + len(grey)], grey
    )
    journal.check(
        "checksum of it (i64)", lambda: library.exports.checksum(grey_at, len(grey)), expected.checksum(grey)
    )
    journal.check("brightness of it (f64)", lambda: application.exports.brightness(grey_at, len(grey)),
                  expected.brightness(grey))  # fmt: skip
    journal.check("fingerprint: blurred in the library, then checksum", lambda: application.exports.fingerprint(*image),
                  expected.checksum(expected.blur(grey, WIDTH, HEIGHT)))  # fmt: skip
    journal.check("sum_of_rows from 3 to 9", lambda: application.exports.sum_of_rows(*image, 3, 9),
                  sum(grey[3 * WIDTH : 10 * WIDTH]))  # fmt: skip

    journal.check("apply_filter: negate, through the function table",
                  lambda: application.exports.apply_filter(0, grey_at, len(grey)), 3)  # fmt: skip
    negated = bytes(255 - pixel for pixel in grey)
    journal.check("the picture is its negative", lambda: memory.read(grey_at, len(grey)), negated)

    text_at = put(bytes(WIDTH))

    def drawn(row: int) -> str:
        application.exports.row_as_text(grey_at + row * WIDTH, text_at, WIDTH)
        return memory.read(text_at, WIDTH).decode("ascii")

    rows = range(0, HEIGHT, 2)
    wanted = [expected.row_as_text(negated[row * WIDTH : (row + 1) * WIDTH]) for row in rows]
    picture_rows = journal.check(
        "row_as_text: every second row", lambda: [drawn(row) for row in rows], wanted
    )
    for line in picture_rows:
        console.print(Text("    " + line, style="dim"))


def picture() -> bytes:
    """Three bytes a pixel: a bright ball on a gradient."""
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            distance = math.hypot((x - WIDTH / 2) / 2, y - HEIGHT / 2)
            ball = max(0.0, 1 - distance / 11)
            pixels += bytes([int(55 + 200 * ball), int(255 * ball), 255 * x // WIDTH])
    return bytes(pixels)


def show_traps(journal: Journal, library: Instance, application: Instance) -> None:
    """Traps, their kinds and backtraces; the instances stay usable."""
    journal.heading("Traps")
    image = (library.exports.allocate(WIDTH * HEIGHT), WIDTH, HEIGHT)
    journal.trap(
        "sum_of_rows of rows that are not there, three calls deep",
        lambda: application.exports.sum_of_rows(*image, HEIGHT - 1, HEIGHT + 1),
        "unreachable",
        ["pixel_address", "sum_of_row", "sum_of_rows"],
    )
    journal.trap(
        "integer_mean of no values",
        lambda: application.exports.integer_mean(image[0], 0),
        "integer_divide_by_zero",
        ["integer_mean"],
    )
    journal.trap(
        "fingerprint of a picture past the memory's end",
        lambda: application.exports.fingerprint(-WIDTH * HEIGHT, WIDTH, HEIGHT),
        "out_of_bounds_memory_access",
        ["blur", "fingerprint"],
    )
    journal.check("both go on: sum_of_rows of the last row", lambda: application.exports.sum_of_rows(
        *image, HEIGHT - 1, HEIGHT - 1), 0)  # fmt: skip


def run_program(journal: Journal, client: Client) -> None:
    """A program with its input, output and files."""
    journal.heading("A program")
    program = journal.step("upload word_count.wasm", lambda: client.upload(WORD_COUNT))
    text = "".join(f"line {number} of the input\n" for number in range(10_000)).encode()
    journal.check("it counts its standard input", lambda: client.run_to_end(program, stdin=text).stdout,
                  f"10000 50000 {len(text)} -\n".encode())  # fmt: skip

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(DIRECTORY / "library.c", "library.c")
    mounts = {"/": ArchiveMount(buffer.getvalue())}
    arguments = ["word_count", "library.c", "nothing.c"]
    ended = journal.step(
        "and files of an archive", lambda: client.run_to_end(program, arguments=arguments, mounts=mounts)
    )
    source = (DIRECTORY / "library.c").read_bytes()
    lines = source.decode().count("\n")
    counts = f"{lines} {len(source.split())} {len(source)} library.c\n"
    journal.check("what it writes", ended.stdout.decode, counts)
    journal.check("and to standard error", ended.stderr.decode,
                  "word_count: nothing.c: No such file or directory\n")  # fmt: skip
    journal.check("its exit code", lambda: ended.exit_code, 1)


def show_batches(journal: Journal, function: Function) -> None:
    """Many calls in one message."""
    journal.heading("Many calls in one message")
    calls = [(n * 7919 % 100_003, n * 104_729 % 99_991) for n in range(10_000)]
    started = time.perf_counter()
    journal.check("10,000 calls of greatest_common_divisor", lambda: function.call_many(calls),
                  [math.gcd(*arguments) for arguments in calls])  # fmt: skip
    seconds = time.perf_counter() - started
    console.print(f"  {len(calls) / seconds:,.0f} calls a second, one client", style="dim", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
