"""A module whose functions and globals are of vectors."""

from wasmtime import wat2wasm

VECTORS = bytes(
    wat2wasm(
        """(module
          (memory (export "memory") 1)
          (global (export "variable") (mut v128) (v128.const i32x4 1 2 3 4))
          (func (export "same") (param v128) (result v128) (local.get 0))
          (func (export "add") (param v128 v128) (result v128) (f32x4.add (local.get 0) (local.get 1)))
          (func (export "mix") (param i32 v128 f32) (result f32 v128 i32)
            (local.get 2) (i32x4.add (local.get 1) (i32x4.splat (local.get 0))) (local.get 0))
          (func (export "with_reference") (param externref v128) (result v128 externref)
            (local.get 1) (local.get 0)))"""
    )
)
