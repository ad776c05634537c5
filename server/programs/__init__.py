"""Programs: command modules whose input and output are streamed from and to a client while they run."""
