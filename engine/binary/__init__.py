"""Decoding of the binary format (specification, chapter 5): bytes to `structure.module.Module`."""

from __future__ import annotations

from farcall.engine.binary.decoder import decode_module

__all__ = ["decode_module"]
