"""A script that crashes or hangs is reported as failed, and the others are not disturbed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .outcomes import Outcome
from .workers import run_files


def run_imitation(path, report, progress):
    progress(1)
    report(Outcome(1, "assert_return", "passed"))
    progress(2)
    match path.name:
        case "crash":
            os.abort()
        case "hang":
            time.sleep(3600)
        case "exit":
            os._exit(3)
    report(Outcome(2, "assert_return", "skipped", reason="feature x"))


def test_crashes_and_hangs_are_failures_of_their_script_alone():
    names = ["good", "crash", "hang", "exit", "also good", "crash"]
    reports = list(run_files([(name, Path(name)) for name in names], 2, 5.0, run_imitation))
    assert [report.name for report in reports] == names
    assert [report.passed for report in reports] == [1] * 6
    failures = [[(failure.line, failure.got) for failure in report.failures] for report in reports]
    assert failures == [
        [],
        [(2, "worker process: killed by SIGABRT")],
        [(2, "worker process: still running after 5 s")],
        [(2, "worker process: exited with status 3")],
        [],
        [(2, "worker process: killed by SIGABRT")],
    ]
    assert reports[0].skipped == {"feature x": 1}
    assert reports[0].line == "good: 1 passed, 0 failed, 1 skipped (1 feature x)"
