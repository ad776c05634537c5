"""The official test suite of WebAssembly, run against farcall: see `__main__.py`."""
