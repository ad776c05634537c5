"""Execution compared with wasmtime's, on the same modules and arguments."""
