"""Mirrors the import root of the .proto files."""
