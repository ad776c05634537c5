"""What the exit status of `farcall` says."""

DONE = 0
FAILED = 1
"""The guest trapped, or the request failed."""
WRONG_USAGE = 2
INTERRUPTED = 130
"""That of a process that is ended by SIGINT, as shells have it."""
ABORTED = 134
"""Of `run` where the program trapped: that of a process that is ended by SIGABRT."""
