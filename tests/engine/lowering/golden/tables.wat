;; A table that cannot grow has a constant length; references are addresses.
(module
  (table $fixed 4 4 funcref) (table $growing 4 externref)
  (elem declare func $references)
  (func $get_and_set (param i32 externref) (result externref)
    (table.set $growing (local.get 0) (local.get 1))
    (table.get $growing (local.get 0)))
  (func $references (param i32) (result i32 funcref)
    (ref.is_null (table.get $fixed (local.get 0)))
    (select (result funcref) (ref.func $references) (ref.null func) (local.get 0))))
