define hidden {i64, float} @f0(ptr noundef nonnull align 8 dereferenceable(232) %vmctx, i32 noundef %p0, i64 noundef %p1, float noundef %p2) #0 align 32 {
entry:
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = getelementptr i8, ptr %vmctx, i64 96
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 %v1
%v5 = load volatile i64, ptr %v4, align 1, !tbaa !5
%v6 = trunc i64 %p1 to i16
%v7 = getelementptr i8, ptr %v4, i64 8
store volatile i16 %v6, ptr %v7, align 1, !tbaa !5
%v8 = zext i32 16 to i64
%v9 = getelementptr i8, ptr %vmctx, i64 96
%v10 = load ptr, ptr %v9, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v11 = getelementptr i8, ptr %v10, i64 %v8
%v12 = getelementptr i8, ptr %v11, i64 12
store volatile float %p2, ptr %v12, align 1, !tbaa !5
%v13 = getelementptr i8, ptr %v4, i64 4
%v14 = load volatile i32, ptr %v13, align 1, !tbaa !5
%v15 = sext i32 %v14 to i64
%v16 = add i64 %v5, %v15
%v17 = getelementptr i8, ptr %v4, i64 268435452
%v18 = load volatile float, ptr %v17, align 1, !tbaa !5
%v19 = insertvalue {i64, float} poison, i64 %v16, 0
%v20 = insertvalue {i64, float} %v19, float %v18, 1
ret {i64, float} %v20
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(232) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = add i64 %v1, 268435457
%v3 = getelementptr i8, ptr %vmctx, i64 104
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %v4, i64 8
%v6 = load i64, ptr %v5, align 8, !tbaa !6
%v7 = icmp ugt i64 %v2, %v6
br i1 %v7, label %trap.out_of_bounds_memory_access, label %v8, !prof !0
v8:
%v9 = zext i32 %p0 to i64
%v10 = getelementptr i8, ptr %vmctx, i64 96
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = getelementptr i8, ptr %v11, i64 %v9
%v13 = getelementptr i8, ptr %v12, i64 268435456
%v14 = load volatile i8, ptr %v13, align 1, !tbaa !5
%v15 = zext i8 %v14 to i32
ret i32 %v15
trap.out_of_bounds_memory_access:
%trap.out_of_bounds_memory_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_memory_access.runtime = load ptr, ptr %trap.out_of_bounds_memory_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_memory_access.entry = getelementptr i8, ptr %trap.out_of_bounds_memory_access.runtime, i64 0
%trap.out_of_bounds_memory_access.exit = load ptr, ptr %trap.out_of_bounds_memory_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_memory_access.exit(i32 5) #1
unreachable
}

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(232) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 104
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v2, i64 8
%v4 = load i64, ptr %v3, align 8, !tbaa !6
%v5 = udiv i64 %v4, 65536
%v6 = trunc i64 %v5 to i32
%v7 = zext i32 %v6 to i64
%v8 = getelementptr i8, ptr %vmctx, i64 104
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %vmctx, i64 8
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = getelementptr i8, ptr %v11, i64 8
%v13 = load ptr, ptr %v12, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v14 = call i64 %v13(ptr %v9, i64 %v7)
%v15 = trunc i64 %v14 to i32
ret i32 %v15
}

