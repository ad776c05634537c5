"""A module with functions of every kind of signature, and one that imports from it."""

from wasmtime import wat2wasm

CALCULATOR = bytes(
    wat2wasm("""
(module $calculator
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "add64") (param i64 i64) (result i64) local.get 0 local.get 1 i64.add)
  (func (export "same_f32") (param f32) (result f32) local.get 0)
  (func (export "same_f64") (param f64) (result f64) local.get 0)
  (func (export "half") (param f32) (result f32) local.get 0 f32.const 0.5 f32.mul)
  (func (export "divide_f64") (param f64 f64) (result f64) local.get 0 local.get 1 f64.div)
  (func (export "nothing"))
  (func (export "three") (result i32 f64 i64) i32.const -1 f64.const 0.1 i64.const 9223372036854775807)
  (func $divide (export "divide") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s)
  (func $outer (export "divide_by_zero") (param i32) (result i32) local.get 0 i32.const 0 call $divide)
  (func (export "spin") (loop $forever br $forever))
  (func (export "recurse") call $recurse)
  (func $recurse call $recurse)
  (func (export "same_reference") (param externref funcref) (result externref funcref)
    local.get 0 local.get 1)
  (func (export "itself") (result funcref) ref.func $divide)
  (func (export "count") (result i64)
    (global.set $counter (i64.add (global.get $counter) (i64.const 1))) global.get $counter)
  (memory (export "memory") 2 5)
  (table (export "table") 3 funcref)
  (elem (i32.const 1) $divide)
  (global $counter (export "counter") (mut i64) (i64.const 0))
  (global (export "constant") i32 (i32.const 42)))
""")
)

APPLICATION = bytes(
    wat2wasm("""
(module
  (import "math" "add" (func $add (param i32 i32) (result i32)))
  (import "math" "memory" (memory 1))
  (func (export "twice") (param i32) (result i32) local.get 0 local.get 0 call $add)
  (func (export "peek") (param i32) (result i32) local.get 0 i32.load8_u))
""")
)
