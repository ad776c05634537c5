"""Compares random modules and damaged ones with wasmtime for as long as one likes (`make fuzz`).

    python -m tests.differential [--seconds S] [--first-seed N] [--wasm-opt PATH]

Each seed is a round: a program of our own generator and, where there is one, a module of Binaryen's, each run on both,
and both damaged in many ways, of which the verdicts on validity are compared. Prints what differs, with the seed that
shows it again, and in the end how many there were. Exit status: 0 if nothing differed, else 1.
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

PATIENCE = 300
"""Seconds after which a round counts as hanging."""


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="how long (60)")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="the first round's seed (1)")
    parser.add_argument("--wasm-opt", type=Path, metavar="PATH", help="Binaryen's, from its npm package")
    arguments = parser.parse_args()
    wasm_opt = arguments.wasm_opt
    if wasm_opt is not None and not wasm_opt.exists():
        print(f"{wasm_opt} is not there: only our own generator is used", file=sys.stderr)
        wasm_opt = None
    total, seed = Counts(), arguments.first_seed
    end = time.monotonic() + arguments.seconds
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
        f"{seed - arguments.first_seed} rounds: {total.programs} programs, {total.generated} modules of Binaryen's,"
        f" {total.damaged} damaged modules ({total.valid} of them valid); {len(total.differences)} differ"
    )
    return 1 if total.differences else 0


def _new_executor(wasm_opt: Path | None) -> ProcessPoolExecutor:
    """A process for farcall's side: it may die."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare, (wasm_opt,))


if __name__ == "__main__":
    sys.exit(main())
