"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# No deadline: tests run in parallel, on machines that have other work, and a slow example is no wrong one. In
# continuous integration the examples are the same each time, so that a change fails for what it changes.
settings.register_profile("farcall", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("farcall")

# A shell's background job ignores it, and so would every process that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_is_each_tests_own() -> Iterator[None]:
    """Running `serve` in process configures logging for the whole process, at that test's captured stream."""
    yield
    structlog.reset_defaults()
