"""Clients of farcall: call WebAssembly functions that run on a server."""
