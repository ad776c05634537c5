;; options: listeners
(module
  (func (param i32 i64 f32 f64 externref) (result f32 i32)
    (br_if 0 (local.get 2) (local.get 0) (i32.const 1))
    (drop) (drop)
    (local.get 2) (i32.const 2))
  (func))
