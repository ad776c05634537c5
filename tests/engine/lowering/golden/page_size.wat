;; Pages of one byte: no guard begins where the memory ends, so every access is checked.
(module
  (memory 100 (pagesize 1))
  (func $load (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func $size (result i32) (memory.grow (memory.size))))
