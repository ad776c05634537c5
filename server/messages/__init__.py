"""Between the engine's objects and messages of farcall.v1."""
