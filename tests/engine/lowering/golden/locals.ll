define hidden double @f0(ptr noundef nonnull align 8 dereferenceable(136) %vmctx, i32 noundef %p0, double noundef %p1) #0 align 32 {
entry:
%l0 = alloca i32, align 4
%l4 = alloca double, align 8
%l1 = alloca double, align 8
%l2 = alloca i64, align 8
%l5 = alloca ptr, align 8
br label %body
body:
store i32 %p0, ptr %l0, align 4
%l4.p = getelementptr i8, ptr %vmctx, i64 32
%l4.zero = load double, ptr %l4.p, align 8, !invariant.load !2, !tbaa !6
store double %l4.zero, ptr %l4, align 8
store double %p1, ptr %l1, align 8
store i64 0, ptr %l2, align 8
store ptr null, ptr %l5, align 8
%v1 = add i32 %p0, 1
store i32 %v1, ptr %l0, align 4
%v2 = icmp ne i32 %v1, 0
br i1 %v2, label %v3.then, label %v3.else
v3.then:
%v4 = load double, ptr %l4, align 8
store double %v4, ptr %l1, align 8
br label %v3
v3.else:
br label %v3
v3:
%v5 = load i64, ptr %l2, align 8
%v6 = load ptr, ptr %l5, align 8
%v7 = load double, ptr %l1, align 8
%v8 = load double, ptr %l4, align 8
%v9 = fadd double %v7, %v8
store double %v9, ptr %l1, align 8
ret double %v9
}

