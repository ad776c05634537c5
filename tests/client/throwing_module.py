"""A module whose functions throw exceptions."""

from wasmtime import wat2wasm

THROWER = bytes(
    wat2wasm("""
(module $thrower
  (tag $trouble (export "trouble") (param i32 f64 externref))
  (func $throw (export "throw") (param i32)
    (throw $trouble (local.get 0) (f64.const 2.5) (ref.null extern)))
  (func (export "outer") (param i32) (call $throw (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $caught (result i32 f64 externref)
      (try_table (catch $trouble $caught) (call $throw (local.get 0))) unreachable)
    (drop) (drop))
  (func (export "null") (param exnref) (result exnref) (local.get 0))
  (func (export "reference") (result exnref)
    (block $caught (result exnref) (try_table (catch_all_ref $caught) (call $throw (i32.const 1))) unreachable)))
""")
)
