;; On a memory that is not shared, accesses are the same, waiting is a trap, and nobody is there to be notified.
(module
  (memory 1)
  (func $wait (param i32) (result i32)
    (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const -1)))
  (func $notify (param i32) (result i32)
    (i32.atomic.rmw.add (local.get 0) (memory.atomic.notify offset=4 (local.get 0) (i32.const 1)))))
