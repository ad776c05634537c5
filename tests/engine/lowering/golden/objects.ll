define hidden ptr @f0(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 376
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = load ptr, ptr %v2, align 8, !tbaa !6
%v4 = getelementptr i8, ptr %v2, i64 8
%v5 = load ptr, ptr %v4, align 8, !tbaa !6
%v6 = getelementptr i8, ptr %v3, i64 16
%v7 = icmp ugt ptr %v6, %v5
br i1 %v7, label %v8.slow, label %v8.fast, !prof !0
v8.slow:
%v9 = getelementptr i8, ptr %vmctx, i64 8
%v10 = load ptr, ptr %v9, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v11 = getelementptr i8, ptr %v10, i64 152
%v12 = load ptr, ptr %v11, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v13 = call ptr %v12(ptr %v2, i32 0)
br label %v8
v8.fast:
store volatile ptr %v6, ptr %v2, align 8, !tbaa !6
br label %v8
v8:
%v14 = phi ptr [ %v13, %v8.slow ], [ %v3, %v8.fast ]
%v15 = getelementptr i8, ptr %vmctx, i64 384
%v16 = load ptr, ptr %v15, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v17 = load ptr, ptr %v16, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
store volatile ptr %v17, ptr %v14, align 8, !tbaa !21
%v18 = getelementptr i8, ptr %v14, i64 8
store volatile i32 %p0, ptr %v18, align 4, !tbaa !21
%v19 = getelementptr i8, ptr %v14, i64 12
%v20 = trunc i32 7 to i8
store volatile i8 %v20, ptr %v19, align 1, !tbaa !21
ret ptr %v14
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_structure_reference, label %v2, !prof !0
v2:
%v3 = getelementptr i8, ptr %p0, i64 8
store volatile i32 1, ptr %v3, align 4, !tbaa !21
%v4 = getelementptr i8, ptr %p0, i64 8
%v5 = load i32, ptr %v4, align 4, !tbaa !21
%v6 = getelementptr i8, ptr %p0, i64 12
%v7 = load i8, ptr %v6, align 1, !tbaa !21
%v8 = sext i8 %v7 to i32
%v9 = add i32 %v5, %v8
ret i32 %v9
trap.null_structure_reference:
%trap.null_structure_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_structure_reference.runtime = load ptr, ptr %trap.null_structure_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_structure_reference.entry = getelementptr i8, ptr %trap.null_structure_reference.runtime, i64 0
%trap.null_structure_reference.exit = load ptr, ptr %trap.null_structure_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_structure_reference.exit(i32 16) #1
unreachable
}

define hidden ptr @f2(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, ptr noundef %p0, i32 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_array_reference, label %v2, !prof !0
v2:
%v3 = getelementptr i8, ptr %p0, i64 8
%v4 = load i32, ptr %v3, align 4, !tbaa !23
%v5 = icmp uge i32 %p1, %v4
br i1 %v5, label %trap.out_of_bounds_array_access, label %v6, !prof !0
v6:
%v7 = zext i32 %p1 to i64
%v8 = call ptr asm sideeffect "", "=r,0"(ptr %p0)
%v9 = getelementptr i8, ptr %v8, i64 16
%v10 = getelementptr [8 x i8], ptr %v9, i64 %v7
store volatile ptr null, ptr %v10, align 8, !tbaa !21
%v11 = getelementptr i8, ptr %p0, i64 8
%v12 = load i32, ptr %v11, align 4, !tbaa !23
%v13 = getelementptr i8, ptr %p0, i64 8
%v14 = load i32, ptr %v13, align 4, !tbaa !23
%v15 = icmp uge i32 %v12, %v14
br i1 %v15, label %trap.out_of_bounds_array_access, label %v16, !prof !0
v16:
%v17 = zext i32 %v12 to i64
%v18 = call ptr asm sideeffect "", "=r,0"(ptr %p0)
%v19 = getelementptr i8, ptr %v18, i64 16
%v20 = getelementptr [8 x i8], ptr %v19, i64 %v17
%v21 = load ptr, ptr %v20, align 8, !tbaa !21
ret ptr %v21
trap.null_array_reference:
%trap.null_array_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_array_reference.runtime = load ptr, ptr %trap.null_array_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_array_reference.entry = getelementptr i8, ptr %trap.null_array_reference.runtime, i64 0
%trap.null_array_reference.exit = load ptr, ptr %trap.null_array_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_array_reference.exit(i32 17) #1
unreachable
trap.out_of_bounds_array_access:
%trap.out_of_bounds_array_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_array_access.runtime = load ptr, ptr %trap.out_of_bounds_array_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_array_access.entry = getelementptr i8, ptr %trap.out_of_bounds_array_access.runtime, i64 0
%trap.out_of_bounds_array_access.exit = load ptr, ptr %trap.out_of_bounds_array_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_array_access.exit(i32 20) #1
unreachable
}

define hidden void @f3(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, ptr noundef %p0, i32 noundef %p1) #0 align 32 {
entry:
%v14.slot = alloca [16 x i8], align 16
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_array_reference, label %v2, !prof !0
v2:
%v3 = getelementptr i8, ptr %p0, i64 8
%v4 = load i32, ptr %v3, align 4, !tbaa !23
%v5 = zext i32 %v4 to i64
%v6 = zext i32 0 to i64
%v7 = zext i32 %p1 to i64
%v8 = add i64 %v6, %v7
%v9 = icmp ugt i64 %v8, %v5
br i1 %v9, label %trap.out_of_bounds_array_access, label %v10, !prof !0
v10:
%v11 = call ptr asm sideeffect "", "=r,0"(ptr %p0)
%v12 = getelementptr i8, ptr %v11, i64 16
%v13 = getelementptr [8 x i8], ptr %v12, i64 %v6
store volatile ptr null, ptr %v14.slot, align 8, !tbaa !21
%v15 = zext i32 %p1 to i64
%v16 = getelementptr i8, ptr %vmctx, i64 8
%v17 = load ptr, ptr %v16, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v18 = getelementptr i8, ptr %v17, i64 176
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v19(ptr %execution, ptr %v13, ptr %v14.slot, i64 8, i64 %v15)
ret void
trap.null_array_reference:
%trap.null_array_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_array_reference.runtime = load ptr, ptr %trap.null_array_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_array_reference.entry = getelementptr i8, ptr %trap.null_array_reference.runtime, i64 0
%trap.null_array_reference.exit = load ptr, ptr %trap.null_array_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_array_reference.exit(i32 17) #1
unreachable
trap.out_of_bounds_array_access:
%trap.out_of_bounds_array_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_array_access.runtime = load ptr, ptr %trap.out_of_bounds_array_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_array_access.entry = getelementptr i8, ptr %trap.out_of_bounds_array_access.runtime, i64 0
%trap.out_of_bounds_array_access.exit = load ptr, ptr %trap.out_of_bounds_array_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_array_access.exit(i32 20) #1
unreachable
}

define hidden i32 @f4(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = ptrtoint ptr %p0 to i64
%v2 = and i64 %v1, 3
%v3 = icmp eq ptr %p0, null
%v4 = icmp ne i64 %v2, 0
%v5 = or i1 %v3, %v4
br i1 %v5, label %v6.done, label %v6.test
v6.test:
%v7 = load ptr, ptr %p0, align 8, !tbaa !6
%v8 = getelementptr i8, ptr %vmctx, i64 384
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = load ptr, ptr %v9, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v11 = icmp eq ptr %v7, %v10
br i1 %v11, label %v12.done, label %v12.test
v12.test:
%v13 = getelementptr i8, ptr %v7, i64 4
%v14 = load i32, ptr %v13, align 4, !invariant.load !2, !tbaa !6
%v15 = icmp ule i32 %v14, 0
br i1 %v15, label %v16.done, label %v16.test
v16.test:
%v17 = getelementptr i8, ptr %v7, i64 32
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = icmp eq ptr %v18, %v10
br label %v16.done
v16.done:
%v20 = phi i1 [ false, %v12.test ], [ %v19, %v16.test ]
br label %v12.done
v12.done:
%v21 = phi i1 [ true, %v6.test ], [ %v20, %v16.done ]
br label %v6.done
v6.done:
%v22 = phi i1 [ false, %body ], [ %v21, %v12.done ]
%v23.c = or i1 %v22, false
%v23 = zext i1 %v23.c to i32
ret i32 %v23
}

define hidden ptr @f5(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = ptrtoint ptr %p0 to i64
%v2 = and i64 %v1, 3
%v3 = icmp eq ptr %p0, null
%v4 = icmp ne i64 %v2, 0
%v5 = or i1 %v3, %v4
br i1 %v5, label %v6.done, label %v6.test
v6.test:
%v7 = load ptr, ptr %p0, align 8, !tbaa !6
%v8 = getelementptr i8, ptr %vmctx, i64 384
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %v9, i64 8
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = icmp eq ptr %v7, %v11
br label %v6.done
v6.done:
%v13 = phi i1 [ %v3, %body ], [ %v12, %v6.test ]
%v14 = xor i1 %v13, true
br i1 %v14, label %trap.cast_failure, label %v15, !prof !0
v15:
ret ptr %p0
trap.cast_failure:
%trap.cast_failure.at = getelementptr i8, ptr %vmctx, i64 8
%trap.cast_failure.runtime = load ptr, ptr %trap.cast_failure.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.cast_failure.entry = getelementptr i8, ptr %trap.cast_failure.runtime, i64 0
%trap.cast_failure.exit = load ptr, ptr %trap.cast_failure.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.cast_failure.exit(i32 19) #1
unreachable
}

define hidden i32 @f6(ptr noundef nonnull align 8 dereferenceable(392) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = shl i32 %p0, 1
%v2 = or i32 %v1, 1
%v3 = zext i32 %v2 to i64
%v4 = inttoptr i64 %v3 to ptr
%v5 = icmp eq ptr %v4, null
br i1 %v5, label %trap.null_i31_reference, label %v6, !prof !0
v6:
%v7 = ptrtoint ptr %v4 to i64
%v8 = trunc i64 %v7 to i32
%v9 = ashr i32 %v8, 1
ret i32 %v9
trap.null_i31_reference:
%trap.null_i31_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_i31_reference.runtime = load ptr, ptr %trap.null_i31_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_i31_reference.entry = getelementptr i8, ptr %trap.null_i31_reference.runtime, i64 0
%trap.null_i31_reference.exit = load ptr, ptr %trap.null_i31_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_i31_reference.exit(i32 18) #1
unreachable
}

!20 = !{!"object", !3}
!21 = !{!20, !20, i64 0}
!22 = !{!"length", !3}
!23 = !{!22, !22, i64 0}

