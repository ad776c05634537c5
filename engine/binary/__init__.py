"""Decoding of the binary format (specification, chapter 5): bytes to `structure.module.Module`."""
