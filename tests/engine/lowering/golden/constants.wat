;; Float constants keep every bit; zeros and ones are loaded, so that LLVM does not fold x * 1.0 to x.
(module
  (func (result i32 i64) (i32.const -2147483648) (i64.const 9223372036854775807))
  (func (result f32 f32 f32) (f32.const 1.5) (f32.const nan:0x200000) (f32.const -0))
  (func (result f64 f64 f64) (f64.const -nan:0x1) (f64.const 1) (f64.const inf))
  ;; What LLVM could compute goes through memory.
  (func (param f64) (result f64)
    (f64.mul (local.get 0) (f64.sub (f64.const 3) (f64.convert_i32_s (i32.const 2))))))
