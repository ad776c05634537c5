;; A local's slot exists once the code mentions it; what it holds is known until ways meet.
(module
  (func (param i32 f64) (result f64)
    (local i64 f32 f64 funcref) (local $unused i32)
    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
    (if (local.get 0) (then (local.set 1 (local.get 4))))
    (drop (local.get 2))
    (drop (local.get 5))
    (local.tee 1 (f64.add (local.get 1) (local.get 4)))))
