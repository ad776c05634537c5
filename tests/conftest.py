"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: tests run in parallel, on machines that have other work, and a slow example is no wrong one. In
# continuous integration the examples are the same each time, so that a change fails for what it changes.
settings.register_profile("farcall", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("farcall")
