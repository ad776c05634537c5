(module
  (type $f (sub (func (param i32) (result i32))))
  (table $t 4 4 (ref null $f))
  (func $call (param (ref null $f) i32) (result i32) (call_ref $f (local.get 1) (local.get 0)))
  (func $through_table (param i32) (result i32) (call_indirect $t (type $f) (i32.const 5) (local.get 0)))
  (func $branches (param (ref null $f)) (result i32)
    (block $null
      (drop (br_on_null $null (local.get 0)))
      (return (i32.const 1)))
    (i32.const 0))
  (func $checked (param funcref) (result (ref func)) (ref.as_non_null (local.get 0))))
