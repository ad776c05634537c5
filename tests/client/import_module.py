"""A module with imports for clients to provide."""

from wasmtime import wat2wasm

IMPORTING = bytes(
    wat2wasm(
        """
        (module $importing
          (import "env" "log" (func $log (param i32 i32)))
          (import "env" "answer" (func $answer (param i32) (result i32)))
          (import "env" "all" (func $all (param i32 i64 f32 f64 v128 externref funcref)
            (result funcref externref v128 f64 f32 i64 i32)))
          (memory (export "memory") 1)
          (data (i32.const 8) "hello")
          (elem declare func $double)
          (func (export "greet") (call $log (i32.const 8) (i32.const 5)))
          (func (export "ask") (param i32) (result i32) (call $answer (local.get 0)))
          (func (export "factorial") (param i32) (result i32)
            (if (result i32) (i32.le_s (local.get 0) (i32.const 1))
              (then (i32.const 1))
              (else (i32.mul (local.get 0) (call $answer (i32.sub (local.get 0) (i32.const 1)))))))
          (func $double (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
          (func (export "pass_all") (param i32 i64 f32 f64 v128 externref)
            (result funcref externref v128 f64 f32 i64 i32)
            (call $all (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
              (ref.func $double)))
          (func (export "spin") (loop $again (br $again))))
        """
    )
)

STARTING = bytes(
    wat2wasm(
        """
        (module
          (import "env" "started" (func $started (result i32)))
          (global $value (mut i32) (i32.const 0))
          (func $start (global.set $value (call $started)))
          (func (export "value") (result i32) (global.get $value))
          (start $start))
        """
    )
)

USING = bytes(
    wat2wasm(
        """
        (module
          (import "importing" "ask" (func $ask (param i32) (result i32)))
          (func (export "ask_twice") (param i32) (result i32)
            (i32.add (call $ask (local.get 0)) (call $ask (local.get 0)))))
        """
    )
)
