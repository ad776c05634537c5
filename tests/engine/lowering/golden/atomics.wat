;; Atomic accesses check their alignment; wait and notify, whose address the runtime uses, check the bounds as well.
(module
  (memory 1 10 shared)
  (func $accesses (param i32 i64) (result i64)
    (i32.atomic.store offset=6 (local.get 0) (i32.atomic.load offset=8 (i32.const 16)))
    (i64.atomic.store8 (local.get 0) (local.get 1))
    (drop (i64.atomic.rmw16.sub_u (local.get 0) (local.get 1)))
    (atomic.fence)
    (i64.atomic.rmw32.cmpxchg_u offset=4 (local.get 0) (local.get 1) (i64.const 1)))
  (func $waits (param i32) (result i32)
    (drop (memory.atomic.wait32 (local.get 0) (i32.const 1) (i64.const -1)))
    (drop (memory.atomic.wait64 offset=8 (local.get 0) (i64.const 1) (i64.const 1000)))
    (memory.atomic.notify (local.get 0) (i32.const 1)))
  (func $size_of_now (result i32) (memory.size)))
