;; Several memories: each access takes the base or the record of its own.
(module
  (import "" "m" (memory $imported 1))
  (memory $own 1)
  (func $both (param i32) (result i32)
    (i32.store $own (local.get 0) (i32.load $imported (local.get 0)))
    (memory.copy $own $imported (i32.const 1) (i32.const 2) (i32.const 3))
    (memory.size $own)))
