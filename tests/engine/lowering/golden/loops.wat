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
  (func $endless (loop (br 0)))
  ;; A memory's base is loaded before the outermost loop, or where it is wanted.
  (memory 1)
  (func $clear (param $p i32)
    (i32.store (local.get $p) (i32.const 1))
    (loop $outer
      (loop $inner
        (i32.store (local.tee $p (i32.sub (local.get $p) (i32.const 4))) (i32.const 0))
        (br_if $inner (i32.and (local.get $p) (i32.const 255))))
      (br_if $outer (local.get $p)))
    (i32.store (local.get $p) (i32.const 2))))
