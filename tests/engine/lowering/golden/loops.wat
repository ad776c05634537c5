;; A loop that branches back checks for a request to stop; one that does not, or without the option, does not.
(module
  (func $sum (param $n i64) (result i64)
    (i64.const 0) (local.get $n)
    (loop $again (param i64 i64) (result i64)
      (local.set $n)
      (i64.add (local.get $n))
      (i64.sub (local.get $n) (i64.const 1))
      (local.tee $n)
      (br_if $again (i64.ne (local.get $n) (i64.const 0)))
      (drop)))
  (func $once (param i32) (loop (br_if 1 (local.get 0))))
  (func $endless (loop (br 0))))
