"""Runs scripts of the WebAssembly test suite against farcall.

    python -m tests.spectest [FILE ...] [--json OUT] [-j N]

Prints a line a script (assertions passed, failed, skipped, and why skipped) and, at the end, the sums.
Exit status: 0 if nothing failed, 1 if something did, 2 where there is nothing to run.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from .outcomes import FileReport, tally
from .runner import Variant, run_file
from .suite import HOW_TO_GET_IT, all_scripts, find_script, suite_directory
from .workers import run_files

SHOWN_FAILURES = 5


def main() -> int:
    """Run the command; its exit status."""
    arguments = _parse_arguments()
    directory = suite_directory()
    try:
        if arguments.files:
            files = [find_script(name, directory) for name in arguments.files]
        elif directory is None:
            print(HOW_TO_GET_IT, file=sys.stderr)
            return 2
        else:
            files = all_scripts(directory)
    except FileNotFoundError as error:
        print(error if directory else f"{error}\n{HOW_TO_GET_IT}", file=sys.stderr)
        return 2

    reports = []
    run = partial(run_file, variant=Variant(arguments.variant))
    for report in run_files(files, arguments.processes, arguments.timeout, run):
        print(report.line)
        limit = None if arguments.verbose else SHOWN_FAILURES
        for failure in report.failures[:limit]:
            print(f"  line {failure.line}: {failure.command}: expected {failure.expected}, got {failure.got}")
        if limit is not None and len(report.failures) > limit:
            print(f"  ... and {len(report.failures) - limit} more")
        sys.stdout.flush()
        reports.append(report)
    failed = sum(len(report.failures) for report in reports)
    summary = tally(
        sum(report.passed for report in reports), failed, sum(report.skipped.total() for report in reports)
    )
    if arguments.json is not None:
        _write_json(arguments.json, reports)
    print(summary)
    return 1 if failed else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.spectest", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="scripts, by path or by name in the suite")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write counts and failures to this file")
    parser.add_argument(
        "-j", "--processes", type=int, default=2, metavar="N", help="run N scripts at a time (2)"
    )
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds for a script (120)")
    variants = [variant.value for variant in Variant]
    parser.add_argument(
        "--variant", choices=variants, default=variants[0], help=f"which code to generate ({variants[0]})"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help=f"show more than {SHOWN_FAILURES} failures a script"
    )
    return parser.parse_args()


def _write_json(path: Path, reports: list[FileReport]) -> None:
    content = {
        "passed": sum(report.passed for report in reports),
        "failed": sum(len(report.failures) for report in reports),
        "skipped": sum(report.skipped.total() for report in reports),
        "messages": sum(len(report.other_messages) for report in reports),
        "files": [report.as_json() for report in reports],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
