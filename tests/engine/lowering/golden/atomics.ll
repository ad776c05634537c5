define hidden i64 @f0(ptr noundef nonnull align 8 dereferenceable(232) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = and i32 16, 3
%v2 = icmp ne i32 %v1, 0
br i1 %v2, label %trap.unaligned_atomic, label %v3, !prof !0
v3:
%v4 = zext i32 16 to i64
%v5 = getelementptr i8, ptr %vmctx, i64 96
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v7 = getelementptr i8, ptr %v6, i64 %v4
%v8 = getelementptr i8, ptr %v7, i64 8
%v9 = load atomic volatile i32, ptr %v8 seq_cst, align 4, !tbaa !5
%v10 = add i32 %p0, 2
%v11 = and i32 %v10, 3
%v12 = icmp ne i32 %v11, 0
br i1 %v12, label %trap.unaligned_atomic, label %v13, !prof !0
v13:
%v14 = zext i32 %p0 to i64
%v15 = getelementptr i8, ptr %vmctx, i64 96
%v16 = load ptr, ptr %v15, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v17 = getelementptr i8, ptr %v16, i64 %v14
%v18 = getelementptr i8, ptr %v17, i64 6
store atomic volatile i32 %v9, ptr %v18 seq_cst, align 4, !tbaa !5
%v19 = trunc i64 %p1 to i8
store atomic volatile i8 %v19, ptr %v17 seq_cst, align 1, !tbaa !5
%v20 = trunc i64 %p1 to i16
%v21 = and i32 %p0, 1
%v22 = icmp ne i32 %v21, 0
br i1 %v22, label %trap.unaligned_atomic, label %v23, !prof !0
v23:
%v24 = zext i32 %p0 to i64
%v25 = getelementptr i8, ptr %vmctx, i64 96
%v26 = load ptr, ptr %v25, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v27 = getelementptr i8, ptr %v26, i64 %v24
%v28 = atomicrmw volatile sub ptr %v27, i16 %v20 seq_cst, align 2, !tbaa !5
%v29 = zext i16 %v28 to i64
fence seq_cst
%v30 = trunc i64 1 to i32
%v31 = trunc i64 %p1 to i32
%v32 = and i32 %p0, 3
%v33 = icmp ne i32 %v32, 0
br i1 %v33, label %trap.unaligned_atomic, label %v34, !prof !0
v34:
%v35 = zext i32 %p0 to i64
%v36 = getelementptr i8, ptr %vmctx, i64 96
%v37 = load ptr, ptr %v36, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v38 = getelementptr i8, ptr %v37, i64 %v35
%v39 = getelementptr i8, ptr %v38, i64 4
%v40 = cmpxchg volatile ptr %v39, i32 %v31, i32 %v30 seq_cst seq_cst, align 4, !tbaa !5
%v41 = extractvalue { i32, i1 } %v40, 0
%v42 = zext i32 %v41 to i64
ret i64 %v42
trap.unaligned_atomic:
%trap.unaligned_atomic.at = getelementptr i8, ptr %vmctx, i64 8
%trap.unaligned_atomic.runtime = load ptr, ptr %trap.unaligned_atomic.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.unaligned_atomic.entry = getelementptr i8, ptr %trap.unaligned_atomic.runtime, i64 0
%trap.unaligned_atomic.exit = load ptr, ptr %trap.unaligned_atomic.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.unaligned_atomic.exit(i32 12) #1
unreachable
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(232) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
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
%v9 = load atomic i64, ptr %v8 seq_cst, align 8, !tbaa !6
%v10 = icmp ugt i64 %v5, %v9
br i1 %v10, label %trap.out_of_bounds_memory_access, label %v11, !prof !0
v11:
%v12 = zext i32 %p0 to i64
%v13 = getelementptr i8, ptr %vmctx, i64 96
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v15 = getelementptr i8, ptr %v14, i64 %v12
%v16 = zext i32 1 to i64
%v17 = getelementptr i8, ptr %vmctx, i64 8
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = getelementptr i8, ptr %v18, i64 136
%v20 = load ptr, ptr %v19, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v21 = call i32 %v20(ptr %execution, ptr %v15, i64 %v16, i32 4, i64 -1)
%v22 = and i32 %p0, 7
%v23 = icmp ne i32 %v22, 0
br i1 %v23, label %trap.unaligned_atomic, label %v24, !prof !0
v24:
%v25 = zext i32 %p0 to i64
%v26 = add i64 %v25, 16
%v27 = getelementptr i8, ptr %vmctx, i64 104
%v28 = load ptr, ptr %v27, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v29 = getelementptr i8, ptr %v28, i64 8
%v30 = load atomic i64, ptr %v29 seq_cst, align 8, !tbaa !6
%v31 = icmp ugt i64 %v26, %v30
br i1 %v31, label %trap.out_of_bounds_memory_access, label %v32, !prof !0
v32:
%v33 = zext i32 %p0 to i64
%v34 = getelementptr i8, ptr %vmctx, i64 96
%v35 = load ptr, ptr %v34, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v36 = getelementptr i8, ptr %v35, i64 %v33
%v37 = getelementptr i8, ptr %v36, i64 8
%v38 = getelementptr i8, ptr %vmctx, i64 8
%v39 = load ptr, ptr %v38, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v40 = getelementptr i8, ptr %v39, i64 136
%v41 = load ptr, ptr %v40, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v42 = call i32 %v41(ptr %execution, ptr %v37, i64 1, i32 8, i64 1000)
%v43 = and i32 %p0, 3
%v44 = icmp ne i32 %v43, 0
br i1 %v44, label %trap.unaligned_atomic, label %v45, !prof !0
v45:
%v46 = zext i32 %p0 to i64
%v47 = add i64 %v46, 4
%v48 = getelementptr i8, ptr %vmctx, i64 104
%v49 = load ptr, ptr %v48, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v50 = getelementptr i8, ptr %v49, i64 8
%v51 = load atomic i64, ptr %v50 seq_cst, align 8, !tbaa !6
%v52 = icmp ugt i64 %v47, %v51
br i1 %v52, label %trap.out_of_bounds_memory_access, label %v53, !prof !0
v53:
%v54 = zext i32 %p0 to i64
%v55 = getelementptr i8, ptr %vmctx, i64 96
%v56 = load ptr, ptr %v55, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v57 = getelementptr i8, ptr %v56, i64 %v54
%v58 = getelementptr i8, ptr %vmctx, i64 8
%v59 = load ptr, ptr %v58, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v60 = getelementptr i8, ptr %v59, i64 144
%v61 = load ptr, ptr %v60, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v62 = call i32 %v61(ptr %v57, i32 1)
ret i32 %v62
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

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(232) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 104
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v2, i64 8
%v4 = load atomic i64, ptr %v3 seq_cst, align 8, !tbaa !6
%v5 = udiv i64 %v4, 65536
%v6 = trunc i64 %v5 to i32
ret i32 %v6
}

