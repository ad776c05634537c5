;; Templates: branches to trap blocks, and a condition that is the comparison before it.
(module
  (func $divide (param i32 i32) (result i32)
    (i32.rem_s (i32.div_s (local.get 0) (local.get 1)) (local.get 1)))
  (func $truncate (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $compare (param i64 i64) (result i32)
    (if (result i32) (i64.lt_u (local.get 0) (local.get 1))
      (then (i64.eqz (local.get 0)))
      (else (select (i32.const 2) (i32.const 3) (i32.wrap_i64 (local.get 1)))))))
