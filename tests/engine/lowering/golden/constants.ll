define hidden {i32, i64} @f0(ptr noundef nonnull align 8 dereferenceable(256) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = insertvalue {i32, i64} poison, i32 -2147483648, 0
%v2 = insertvalue {i32, i64} %v1, i64 9223372036854775807, 1
ret {i32, i64} %v2
}

define hidden fastcc {float, float, float} @f1(ptr noundef nonnull align 8 dereferenceable(256) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 68
%v2 = load float, ptr %v1, align 4, !invariant.load !2, !tbaa !6
%v3 = insertvalue {float, float, float} poison, float bitcast (i32 1069547520 to float), 0
%v4 = insertvalue {float, float, float} %v3, float bitcast (i32 2141192192 to float), 1
%v5 = insertvalue {float, float, float} %v4, float %v2, 2
ret {float, float, float} %v5
}

define hidden fastcc {double, double, double} @f2(ptr noundef nonnull align 8 dereferenceable(256) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 48
%v2 = load double, ptr %v1, align 8, !invariant.load !2, !tbaa !6
%v3 = insertvalue {double, double, double} poison, double bitcast (i64 18442240474082181121 to double), 0
%v4 = insertvalue {double, double, double} %v3, double %v2, 1
%v5 = insertvalue {double, double, double} %v4, double bitcast (i64 9218868437227405312 to double), 2
ret {double, double, double} %v5
}

define hidden double @f3(ptr noundef nonnull align 8 dereferenceable(256) %vmctx, double noundef %p0) #0 align 32 {
entry:
%opaque.i32 = alloca i32, align 4
br label %body
body:
store volatile i32 2, ptr %opaque.i32, align 4
%v2 = load volatile i32, ptr %opaque.i32, align 4
%v1 = sitofp i32 %v2 to double
%v3 = fsub double bitcast (i64 4613937818241073152 to double), %v1
%v4 = fmul double %p0, %v3
ret double %v4
}

