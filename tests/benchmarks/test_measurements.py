"""The benchmarks: they run, peers agree on results, and a disagreement is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.embedding import measure_embedding
from benchmarks.kernel_runs import ResultMismatchError, geometric_mean, measure_kernels
from benchmarks.kernels import DIRECTORY, KERNELS, VECTOR_KERNELS, Kernel
from benchmarks.peers.native_peer import compiler_version
from benchmarks.peers.process import PeerError, PeerProcess
from benchmarks.targets import Target, targets

ENGINES = ["farcall", "farcall_unchecked", "wasmtime"]


def silence(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def peers() -> Iterator[dict[str, PeerProcess]]:
    names = [*ENGINES, "farcall_lazy", *(["gcc"] if compiler_version() else [])]
    running = {name: PeerProcess(name) for name in names}
    yield running
    for peer in running.values():
        peer.__exit__(None, None, None)


SMALL = {"collatz": 3000, "queens": 6, "interpreter": 10_000, "mandelbrot": 20, "nbody": 100, "matmul": 20,
         "sieve": 1, "memory_sweep": 1, "fibonacci": 15, "tak": 1, "indirect_calls": 10_000, "sha256": 1,
         "crc32": 1, "words": 10_000, "pointer_chase": 10_000, "binary_trees": 2, "quicksort": 5000,
         "vector_mandelbrot": 20, "vector_dot_product": 10, "vector_matmul": 1, "vector_blur": 1, "vector_hash": 50,
         "vector_utf8": 4}  # fmt: skip


def test_every_kernel_computes_the_same_on_every_peer(peers: dict[str, PeerProcess], tmp_path: Path) -> None:
    every = KERNELS + VECTOR_KERNELS
    kernels = [replace(kernel, argument=SMALL[kernel.name]) for kernel in every]
    results = measure_kernels(kernels, peers, tmp_path, 1, silence)
    assert list(results["kernels"]) == [kernel.name for kernel in every]
    for measured in results["kernels"].values():
        assert set(measured["seconds"]) == set(peers)
        assert measured["result"] != 0


@pytest.mark.parametrize(
    ("kernel", "argument", "expected"),
    [
        ("fibonacci", 20, 6765),
        ("queens", 8, 92),
        ("sieve", 1, 148_933),
        ("collatz", 10, 9 << 32 | 20),
        ("binary_trees", 1, 2**15 - 1),
        ("vector_utf8", 1, 1),  # the text is valid as it is
    ],
)
def test_kernels_compute_what_is_known(
    peers: dict[str, PeerProcess], kernel: str, argument: int, expected: int
) -> None:
    path = str(DIRECTORY / f"{kernel}.wasm")
    peers["farcall"].ask("prepare", path=path)
    assert peers["farcall"].ask("run", path=path, argument=argument)["result"] == expected


def test_every_source_is_a_kernel_that_is_measured() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.c")} == {
        kernel.name for kernel in KERNELS + VECTOR_KERNELS
    }


def test_a_result_that_differs_is_an_error(peers: dict[str, PeerProcess], tmp_path: Path) -> None:
    class Liar:
        def ask(self, command: str, **_arguments: object) -> dict[str, object]:
            return {"seconds": 0.001, "seconds_by_clock": 0.001, "result": 5}

    disagreeing = {"farcall": peers["farcall"], "wasmtime": Liar()}
    with pytest.raises(ResultMismatchError, match=r"fibonacci\(10\): wasmtime computed 5, not 55"):
        measure_kernels([Kernel("fibonacci", "", 10)], disagreeing, tmp_path, 1, silence)  # type: ignore[arg-type]


def test_what_an_embedding_program_pays_is_measured(peers: dict[str, PeerProcess], tmp_path: Path) -> None:
    engines = {name: peers[name] for name in ENGINES}
    measured = measure_embedding(KERNELS[:2], engines, tmp_path, 1, silence)
    assert set(measured) == set(ENGINES)
    for seconds in measured.values():
        assert all(value > 0 for value in seconds.values())
        assert seconds["instantiate and close"] >= seconds["instantiate, one page of memory"]
        assert seconds["trap: unreachable"] > seconds["call add"]
    assert {target.subject for target in targets({"embedding": measured})} == {
        "a call from Python into a trivial function",
        "what a trap adds to it, the slowest kind",
        "instantiating a module with one page",
    }


def test_a_peer_that_ends_is_an_error() -> None:
    with PeerProcess("wasmtime") as peer, pytest.raises(PeerError, match="wasmtime ended with status 1"):
        peer.ask("prepare", path="/nonexistent")


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("", 0.85, 0.85), True),
        (Target("", 0.86, 0.85), False),
        (Target("", 0.8, 0.8, at_least=True), True),
        (Target("", 0.79, 0.8, at_least=True), False),
    ],
)
def test_a_target_knows_whether_it_is_met(target: Target, met: bool) -> None:
    assert target.met is met


def test_kernels_of_vectors_have_a_target_of_their_own() -> None:
    measured = {
        "ratios": {"farcall_to_wasmtime": 0.8},
        "vector_ratios": {"farcall_to_wasmtime": 0.95, "farcall_to_gcc": 2.0},
    }
    assert [target.met for target in targets(measured)] == [True, False]


def test_geometric_mean() -> None:
    mean: Callable[[list[float]], float] = geometric_mean
    assert mean([0.5, 2.0, 1.0]) == pytest.approx(1.0)
    assert mean([2.0, 8.0]) == pytest.approx(4.0)
