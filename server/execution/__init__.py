"""How work on instances gets its turn, runs away from the event loop, and is stopped."""
