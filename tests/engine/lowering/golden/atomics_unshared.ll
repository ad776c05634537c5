define hidden i32 @f0(ptr noundef nonnull align 8 dereferenceable(192) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = and i32 %p0, 3
%v2 = icmp ne i32 %v1, 0
br i1 %v2, label %trap.unaligned_atomic, label %v3, !prof !0
v3:
%v4 = zext i32 %p0 to i64
%v5 = add i64 %v4, 4
%v6 = getelementptr i8, ptr %vmctx, i64 104
%v7 = load ptr, ptr %v6, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v8 = getelementptr i8, ptr %v7, i64 8
%v9 = load i64, ptr %v8, align 8, !tbaa !6
%v10 = icmp ugt i64 %v5, %v9
br i1 %v10, label %trap.out_of_bounds_memory_access, label %v11, !prof !0
v11:
%v12 = zext i32 %p0 to i64
%v13 = getelementptr i8, ptr %vmctx, i64 96
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v15 = getelementptr i8, ptr %v14, i64 %v12
br label %trap.expected_shared_memory
trap.expected_shared_memory:
%trap.expected_shared_memory.at = getelementptr i8, ptr %vmctx, i64 8
%trap.expected_shared_memory.runtime = load ptr, ptr %trap.expected_shared_memory.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.expected_shared_memory.entry = getelementptr i8, ptr %trap.expected_shared_memory.runtime, i64 0
%trap.expected_shared_memory.exit = load ptr, ptr %trap.expected_shared_memory.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.expected_shared_memory.exit(i32 13) #1
unreachable
trap.out_of_bounds_memory_access:
%trap.out_of_bounds_memory_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_memory_access.runtime = load ptr, ptr %trap.out_of_bounds_memory_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_memory_access.entry = getelementptr i8, ptr %trap.out_of_bounds_memory_access.runtime, i64 0
%trap.out_of_bounds_memory_access.exit = load ptr, ptr %trap.out_of_bounds_memory_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_memory_access.exit(i32 5) #1
unreachable
trap.unaligned_atomic:
%trap.unaligned_atomic.at = getelementptr i8, ptr %vmctx, i64 8
%trap.unaligned_atomic.runtime = load ptr, ptr %trap.unaligned_atomic.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.unaligned_atomic.entry = getelementptr i8, ptr %trap.unaligned_atomic.runtime, i64 0
%trap.unaligned_atomic.exit = load ptr, ptr %trap.unaligned_atomic.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.unaligned_atomic.exit(i32 12) #1
unreachable
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(192) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = and i32 %p0, 3
%v2 = icmp ne i32 %v1, 0
br i1 %v2, label %trap.unaligned_atomic, label %v3, !prof !0
v3:
%v4 = zext i32 %p0 to i64
%v5 = add i64 %v4, 8
%v6 = getelementptr i8, ptr %vmctx, i64 104
%v7 = load ptr, ptr %v6, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v8 = getelementptr i8, ptr %v7, i64 8
%v9 = load i64, ptr %v8, align 8, !tbaa !6
%v10 = icmp ugt i64 %v5, %v9
br i1 %v10, label %trap.out_of_bounds_memory_access, label %v11, !prof !0
v11:
%v12 = zext i32 %p0 to i64
%v13 = getelementptr i8, ptr %vmctx, i64 96
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v15 = getelementptr i8, ptr %v14, i64 %v12
%v16 = getelementptr i8, ptr %v15, i64 4
%v17 = and i32 %p0, 3
%v18 = icmp ne i32 %v17, 0
br i1 %v18, label %trap.unaligned_atomic, label %v19, !prof !0
v19:
%v20 = zext i32 %p0 to i64
%v21 = getelementptr i8, ptr %vmctx, i64 96
%v22 = load ptr, ptr %v21, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v23 = getelementptr i8, ptr %v22, i64 %v20
%v24 = atomicrmw volatile add ptr %v23, i32 0 seq_cst, align 4, !tbaa !5
ret i32 %v24
trap.out_of_bounds_memory_access:
%trap.out_of_bounds_memory_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_memory_access.runtime = load ptr, ptr %trap.out_of_bounds_memory_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_memory_access.entry = getelementptr i8, ptr %trap.out_of_bounds_memory_access.runtime, i64 0
%trap.out_of_bounds_memory_access.exit = load ptr, ptr %trap.out_of_bounds_memory_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_memory_access.exit(i32 5) #1
unreachable
trap.unaligned_atomic:
%trap.unaligned_atomic.at = getelementptr i8, ptr %vmctx, i64 8
%trap.unaligned_atomic.runtime = load ptr, ptr %trap.unaligned_atomic.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.unaligned_atomic.entry = getelementptr i8, ptr %trap.unaligned_atomic.runtime, i64 0
%trap.unaligned_atomic.exit = load ptr, ptr %trap.unaligned_atomic.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.unaligned_atomic.exit(i32 12) #1
unreachable
}

