"""Measurements in processes of their own, which say what they found as JSON on their standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_in_fresh_process(
    module: str, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a module of this package finds when it is run as a program.

    Args:
        module: its name.
        arguments: of the program.
        environment: variables that it has beside this process's.

    Raises:
        RuntimeError: it failed; why, it has said on the standard error.
    """
    outcome = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | (environment or {}),
    )
    if outcome.returncode:
        words = " ".join([module, *map(str, arguments)])
        raise RuntimeError(f"{words} ended with status {outcome.returncode}")
    answer: dict[str, Any] = json.loads(outcome.stdout)
    return answer
