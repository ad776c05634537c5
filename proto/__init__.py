"""The service's interface: what protoc makes of `farcall/v1/*.proto` (by `tools/generate_proto.py`)."""
