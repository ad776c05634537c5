define hidden i32 @f0(ptr noundef nonnull align 8 dereferenceable(216) %vmctx, i32 noundef %p0, i32 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1.z = icmp eq i32 %p1, 0
br i1 %v1.z, label %trap.integer_divide_by_zero, label %v1.nonzero, !prof !0
v1.nonzero:
%v1.m = icmp eq i32 %p1, -1
%v1.l = icmp eq i32 %p0, -2147483648
%v1.o = and i1 %v1.l, %v1.m
br i1 %v1.o, label %trap.integer_overflow, label %v1.fits, !prof !0
v1.fits:
%v1 = sdiv i32 %p0, %p1
%v2.z = icmp eq i32 %p1, 0
br i1 %v2.z, label %trap.integer_divide_by_zero, label %v2.nonzero, !prof !0
v2.nonzero:
%v2.m = icmp eq i32 %p1, -1
%v2.d = select i1 %v2.m, i32 1, i32 %p1
%v2 = srem i32 %v1, %v2.d
ret i32 %v2
trap.integer_divide_by_zero:
%trap.integer_divide_by_zero.at = getelementptr i8, ptr %vmctx, i64 8
%trap.integer_divide_by_zero.runtime = load ptr, ptr %trap.integer_divide_by_zero.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.integer_divide_by_zero.entry = getelementptr i8, ptr %trap.integer_divide_by_zero.runtime, i64 0
%trap.integer_divide_by_zero.exit = load ptr, ptr %trap.integer_divide_by_zero.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.integer_divide_by_zero.exit(i32 2) #1
unreachable
trap.integer_overflow:
%trap.integer_overflow.at = getelementptr i8, ptr %vmctx, i64 8
%trap.integer_overflow.runtime = load ptr, ptr %trap.integer_overflow.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.integer_overflow.entry = getelementptr i8, ptr %trap.integer_overflow.runtime, i64 0
%trap.integer_overflow.exit = load ptr, ptr %trap.integer_overflow.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.integer_overflow.exit(i32 3) #1
unreachable
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(216) %vmctx, double noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1.l = fcmp ogt double %p0, -2147483649.0
br i1 %v1.l, label %v1.above, label %v1.bad, !prof !1
v1.above:
%v1.h = fcmp olt double %p0, 2147483648.0
br i1 %v1.h, label %v1.fits, label %v1.bad, !prof !1
v1.bad:
%v1.u = fcmp uno double %p0, %p0
br i1 %v1.u, label %trap.invalid_conversion_to_integer, label %trap.integer_overflow
v1.fits:
%v1 = fptosi double %p0 to i32
ret i32 %v1
trap.integer_overflow:
%trap.integer_overflow.at = getelementptr i8, ptr %vmctx, i64 8
%trap.integer_overflow.runtime = load ptr, ptr %trap.integer_overflow.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.integer_overflow.entry = getelementptr i8, ptr %trap.integer_overflow.runtime, i64 0
%trap.integer_overflow.exit = load ptr, ptr %trap.integer_overflow.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.integer_overflow.exit(i32 3) #1
unreachable
trap.invalid_conversion_to_integer:
%trap.invalid_conversion_to_integer.at = getelementptr i8, ptr %vmctx, i64 8
%trap.invalid_conversion_to_integer.runtime = load ptr, ptr %trap.invalid_conversion_to_integer.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.invalid_conversion_to_integer.entry = getelementptr i8, ptr %trap.invalid_conversion_to_integer.runtime, i64 0
%trap.invalid_conversion_to_integer.exit = load ptr, ptr %trap.invalid_conversion_to_integer.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.invalid_conversion_to_integer.exit(i32 4) #1
unreachable
}

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(216) %vmctx, i64 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
%l1 = alloca i64, align 8
br label %body
body:
store i64 %p1, ptr %l1, align 8
%v1.c = icmp ult i64 %p0, %p1
br i1 %v1.c, label %v2.then, label %v2.else
v2.then:
%v3.c = icmp eq i64 %p0, 0
%v3 = zext i1 %v3.c to i32
br label %v2
v2.else:
%v4 = load i64, ptr %l1, align 8
%v5 = trunc i64 %v4 to i32
%v6 = icmp ne i32 %v5, 0
%v7 = select i1 %v6, i32 2, i32 3
br label %v2
v2:
%v2.0 = phi i32 [ %v3, %v2.then ], [ %v7, %v2.else ]
ret i32 %v2.0
}

