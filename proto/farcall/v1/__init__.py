"""Messages and stubs of `farcall.v1`; written by `tools/generate_proto.py`."""
