"""Where a server listens that was told nothing else."""

DEFAULT_PORT = 7070
DEFAULT_ADDRESS = f"localhost:{DEFAULT_PORT}"
