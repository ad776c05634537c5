"""Memory as routines see it: unsigned little-endian integers at addresses. Nothing is checked.

Here they are Python functions, so that a routine can be run and debugged as it is written; in translated routines
each is a single load or store.
"""

from __future__ import annotations

import ctypes


def u8(address: int) -> int:
    """The byte at an address."""
    return ctypes.c_uint8.from_address(address).value


def u16(address: int) -> int:
    """The unsigned 16-bit integer at an address."""
    return ctypes.c_uint16.from_address(address).value


def u32(address: int) -> int:
    """The unsigned 32-bit integer at an address."""
    return ctypes.c_uint32.from_address(address).value


def u64(address: int) -> int:
    """The 64-bit integer at an address, an address itself as a rule."""
    return ctypes.c_uint64.from_address(address).value


def set_u8(address: int, value: int) -> None:
    """Store the lowest byte of a value."""
    ctypes.c_uint8.from_address(address).value = value


def set_u32(address: int, value: int) -> None:
    """Store the lowest 32 bits of a value."""
    ctypes.c_uint32.from_address(address).value = value


def set_u64(address: int, value: int) -> None:
    """Store a value."""
    ctypes.c_uint64.from_address(address).value = value


LOADS = {u8.__name__: 8, u16.__name__: 16, u32.__name__: 32, u64.__name__: 64}
"""The widths in bits of what reads, by name."""

STORES = {set_u8.__name__: 8, set_u32.__name__: 32, set_u64.__name__: 64}
"""The same for what writes."""
