;; Accesses lie within the memory or its guard; only an offset beyond the guard is checked.
(module
  (memory 1 10)
  (func $accesses (param i32 i64 f32) (result i64 f32)
    (i64.load (local.get 0))
    (i64.store16 offset=8 align=1 (local.get 0) (local.get 1))
    (f32.store offset=12 (i32.const 16) (local.get 2))
    (i64.load32_s offset=4 (local.get 0))
    (i64.add)
    (f32.load offset=268435452 (local.get 0)))
  (func $beyond_the_guard (param i32) (result i32)
    (i32.load8_u offset=268435456 (local.get 0)))
  (func $size (result i32) (memory.grow (memory.size))))
