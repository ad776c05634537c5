"""What a peer can do: run kernels, and, if it is an engine of WebAssembly, what an embedding program asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

SMALL_MODULE = """
(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $fail (param i32) (result i32) unreachable)
  (func (export "unreachable") (param i32 i32) (result i32) (call $fail (local.get 0)))
  (func (export "out_of_bounds") (param i32 i32) (result i32) (i32.load (i32.const -8)))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))
"""
"""What calls, traps and instantiation are measured with; one page of memory."""

TRAPPING = {"unreachable": (1, 2), "out_of_bounds": (1, 2), "divide": (1, 0)}
"""Exports of the small module that trap, and the arguments with which they do."""


class Peer(ABC):
    """Runs kernels."""

    @abstractmethod
    def kernel(self, path: str) -> Callable[[int], int]:
        """The function `run` of a kernel: a compiled file in the form that the peer takes."""


class EnginePeer(Peer):
    """An engine of WebAssembly."""

    trap: type[Exception]
    """What a call raises when the guest traps."""

    @abstractmethod
    def compile(self, source: bytes) -> object:
        """Decode, validate and compile."""

    @abstractmethod
    def instantiate(self, compiled: object) -> object:
        """An instance, in whatever it needs to live in."""

    @abstractmethod
    def function(self, instance: object, name: str) -> Callable[..., object]:
        """An exported function, as a program would hold it; called with `leading` and the guest's arguments."""

    def leading(self, instance: object) -> Sequence[object]:
        """What the peer's functions want before the guest's arguments."""
        del instance
        return ()

    @abstractmethod
    def discard(self, instance: object) -> None:
        """Close the instance, if that is for the program to do."""
