define hidden ptr @f0(ptr noundef nonnull align 8 dereferenceable(224) %vmctx, i32 noundef %p0, ptr noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = getelementptr i8, ptr %vmctx, i64 120
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 8
%v5 = load i64, ptr %v4, align 8, !tbaa !6
%v6 = icmp uge i64 %v1, %v5
br i1 %v6, label %trap.out_of_bounds_table_access, label %v7, !prof !0
v7:
%v8 = getelementptr i8, ptr %vmctx, i64 112
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr ptr, ptr %v9, i64 %v1
store volatile ptr %p1, ptr %v10, align 8, !tbaa !8
%v11 = zext i32 %p0 to i64
%v12 = getelementptr i8, ptr %vmctx, i64 120
%v13 = load ptr, ptr %v12, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v14 = getelementptr i8, ptr %v13, i64 8
%v15 = load i64, ptr %v14, align 8, !tbaa !6
%v16 = icmp uge i64 %v11, %v15
br i1 %v16, label %trap.out_of_bounds_table_access, label %v17, !prof !0
v17:
%v18 = getelementptr i8, ptr %vmctx, i64 112
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v20 = getelementptr ptr, ptr %v19, i64 %v11
%v21 = load ptr, ptr %v20, align 8, !tbaa !8
ret ptr %v21
trap.out_of_bounds_table_access:
%trap.out_of_bounds_table_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_table_access.runtime = load ptr, ptr %trap.out_of_bounds_table_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_table_access.entry = getelementptr i8, ptr %trap.out_of_bounds_table_access.runtime, i64 0
%trap.out_of_bounds_table_access.exit = load ptr, ptr %trap.out_of_bounds_table_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_table_access.exit(i32 6) #1
unreachable
}

define hidden {i32, ptr} @f1(ptr noundef nonnull align 8 dereferenceable(224) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = icmp uge i64 %v1, 4
br i1 %v2, label %trap.out_of_bounds_table_access, label %v3, !prof !0
v3:
%v4 = getelementptr i8, ptr %vmctx, i64 96
%v5 = load ptr, ptr %v4, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v6 = getelementptr ptr, ptr %v5, i64 %v1
%v7 = load ptr, ptr %v6, align 8, !tbaa !8
%v8.c = icmp eq ptr %v7, null
%v8 = zext i1 %v8.c to i32
%v9 = getelementptr i8, ptr %vmctx, i64 184
%v10 = icmp ne i32 %p0, 0
%v11 = select i1 %v10, ptr %v9, ptr null
%v12 = insertvalue {i32, ptr} poison, i32 %v8, 0
%v13 = insertvalue {i32, ptr} %v12, ptr %v11, 1
ret {i32, ptr} %v13
trap.out_of_bounds_table_access:
%trap.out_of_bounds_table_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_table_access.runtime = load ptr, ptr %trap.out_of_bounds_table_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_table_access.entry = getelementptr i8, ptr %trap.out_of_bounds_table_access.runtime, i64 0
%trap.out_of_bounds_table_access.exit = load ptr, ptr %trap.out_of_bounds_table_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_table_access.exit(i32 6) #1
unreachable
}

