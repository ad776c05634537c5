"""Compares random modules and damaged ones with wasmtime for as long as one likes (`make fuzz`).

    python -m tests.differential [--seconds S] [--first-seed N] [--wasm-opt PATH]
    python -m tests.differential --mutants COUNT [--first-seed N] [--compiled-share SHARE]

Each seed is a round: a program of our own generator and, where there is one, a module of Binaryen's, each run on both,
and both damaged in many ways, of which the verdicts on validity are compared. Prints what differs, with the seed that
shows it again, and in the end how many there were. Exit status: 0 if nothing differed, else 1.

With `--mutants` nothing is compared: so many mutants of the official test suite's modules, of ours and of random
programs are decoded and validated, in a process that may die, and some of those that validate are compiled. Prints
every crash, hang, unforeseen exception, misplaced error and waste of memory. Exit status: 0 if there was none.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from .fuzzing import Counts, prepare, run_round
from .mutant_checks import Findings, numbered_mutant
from .mutants import check_many
from .mutation_seeds import all_seeds

PATIENCE = 300
"""Seconds after which a round counts as hanging."""

_PROGRESS = 100_000
"""Mutants between two signs of life."""


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="how long (60)")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="the first round's seed (1)")
    parser.add_argument("--wasm-opt", type=Path, metavar="PATH", help="Binaryen's, from its npm package")
    parser.add_argument(
        "--mutants", type=int, metavar="COUNT", help="decode and validate so many mutants instead"
    )
    parser.add_argument(
        "--compiled-share",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="of the valid ones, those compiled (0.02)",
    )
    arguments = parser.parse_args()
    if arguments.mutants is not None:
        return _check_mutants(arguments.first_seed, arguments.mutants, arguments.compiled_share)
    return _compare(arguments.first_seed, arguments.seconds, arguments.wasm_opt)


def _compare(first_seed: int, seconds: float, wasm_opt: Path | None) -> int:
    """Run rounds, seed by seed; the exit status."""
    if wasm_opt is not None and not wasm_opt.exists():
        print(f"{wasm_opt} is not there: only our own generator is used", file=sys.stderr)
        wasm_opt = None
    total, seed = Counts(), first_seed
    end = time.monotonic() + seconds
    executor = _new_executor(wasm_opt)
    while time.monotonic() < end:
        try:
            counts = executor.submit(run_round, seed).result(PATIENCE)
        except BrokenProcessPool:
            counts = Counts(differences=["farcall's process died"])
            executor = _new_executor(wasm_opt)
        except TimeoutError:
            counts = Counts(differences=[f"still running after {PATIENCE} s"])
            for process in list(executor._processes.values()):
                process.kill()
            executor = _new_executor(wasm_opt)
        except Exception as error:  # of the comparison itself: the next round may go
            counts = Counts(differences=[f"the comparison fails: {error!r}"])
        for difference in counts.differences:
            print(f"seed {seed}: {difference}", flush=True)
        total += counts
        seed += 1
    executor.shutdown()
    print(
        f"{seed - first_seed} rounds: {total.programs} programs, {total.generated} modules of Binaryen's,"
        f" {total.damaged} damaged modules ({total.valid} of them valid); {len(total.differences)} differ"
    )
    return 1 if total.differences else 0


def _check_mutants(seed: int, count: int, compiled_share: float) -> int:
    """Check mutants; the exit status."""
    seeds = all_seeds()
    print(f"{len(seeds)} modules are mutated", flush=True)
    done = 0

    def report(found: Findings) -> None:
        nonlocal done
        done += found.checked
        for number, problem in found.problems:
            module, disabled, _ = numbered_mutant(seeds, seed, number)
            names = ", ".join(sorted(feature.value for feature in disabled))
            print(f"mutant {number} {problem}; without {names or 'no feature'}: {module.hex()}", flush=True)
        if done % _PROGRESS == 0:
            print(f"{done} ...", flush=True)

    total = check_many(seeds, seed, count, compiled_share, report)
    slowest, number = total.slowest
    print(
        f"{total.checked} mutants: {total.valid} valid, {total.compiled} of them compiled"
        f" ({total.exhausted} would have taken too much); the slowest, {number}, took {slowest:.3f} s;"
        f" {len(total.problems)} problems"
    )
    return 1 if total.problems else 0


def _new_executor(wasm_opt: Path | None) -> ProcessPoolExecutor:
    """A process for farcall's side: it may die."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare, (wasm_opt,))


if __name__ == "__main__":
    sys.exit(main())
