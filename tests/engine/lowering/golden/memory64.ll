define hidden i64 @f0(ptr noundef nonnull align 8 dereferenceable(304) %vmctx, i64 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = trunc i64 %p1 to i8
%v2 = getelementptr i8, ptr %vmctx, i64 104
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 8
%v5 = load i64, ptr %v4, align 8, !tbaa !6
%v6 = call {i64, i1} @llvm.uadd.with.overflow.i64(i64 %p0, i64 1)
%v7 = extractvalue {i64, i1} %v6, 1
br i1 %v7, label %trap.out_of_bounds_memory_access, label %v8, !prof !0
v8:
%v9 = extractvalue {i64, i1} %v6, 0
%v10 = icmp ugt i64 %v9, %v5
br i1 %v10, label %trap.out_of_bounds_memory_access, label %v11, !prof !0
v11:
%v12 = getelementptr i8, ptr %vmctx, i64 96
%v13 = load ptr, ptr %v12, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v14 = getelementptr i8, ptr %v13, i64 %p0
store volatile i8 %v1, ptr %v14, align 1, !tbaa !5
%v15 = getelementptr i8, ptr %vmctx, i64 104
%v16 = load ptr, ptr %v15, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v17 = getelementptr i8, ptr %v16, i64 8
%v18 = load i64, ptr %v17, align 8, !tbaa !6
%v19 = call {i64, i1} @llvm.uadd.with.overflow.i64(i64 %p0, i64 16)
%v20 = extractvalue {i64, i1} %v19, 1
br i1 %v20, label %trap.out_of_bounds_memory_access, label %v21, !prof !0
v21:
%v22 = extractvalue {i64, i1} %v19, 0
%v23 = icmp ugt i64 %v22, %v18
br i1 %v23, label %trap.out_of_bounds_memory_access, label %v24, !prof !0
v24:
%v25 = getelementptr i8, ptr %vmctx, i64 96
%v26 = load ptr, ptr %v25, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v27 = getelementptr i8, ptr %v26, i64 %p0
%v28 = getelementptr i8, ptr %v27, i64 8
%v29 = load volatile i64, ptr %v28, align 1, !tbaa !5
%v30 = getelementptr i8, ptr %vmctx, i64 104
%v31 = load ptr, ptr %v30, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v32 = getelementptr i8, ptr %v31, i64 8
%v33 = load i64, ptr %v32, align 8, !tbaa !6
%v34 = call {i64, i1} @llvm.uadd.with.overflow.i64(i64 %p0, i64 -1)
%v35 = extractvalue {i64, i1} %v34, 1
br i1 %v35, label %trap.out_of_bounds_memory_access, label %v36, !prof !0
v36:
%v37 = extractvalue {i64, i1} %v34, 0
%v38 = icmp ugt i64 %v37, %v33
br i1 %v38, label %trap.out_of_bounds_memory_access, label %v39, !prof !0
v39:
%v40 = getelementptr i8, ptr %vmctx, i64 96
%v41 = load ptr, ptr %v40, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v42 = getelementptr i8, ptr %v41, i64 %p0
%v43 = getelementptr i8, ptr %v42, i64 -1
%v44 = load volatile i64, ptr %v43, align 1, !tbaa !5
%v45 = add i64 %v29, %v44
ret i64 %v45
trap.out_of_bounds_memory_access:
%trap.out_of_bounds_memory_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_memory_access.runtime = load ptr, ptr %trap.out_of_bounds_memory_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_memory_access.entry = getelementptr i8, ptr %trap.out_of_bounds_memory_access.runtime, i64 0
%trap.out_of_bounds_memory_access.exit = load ptr, ptr %trap.out_of_bounds_memory_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_memory_access.exit(i32 5) #1
unreachable
}

define hidden i64 @f1(ptr noundef nonnull align 8 dereferenceable(304) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 104
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v2, i64 8
%v4 = load i64, ptr %v3, align 8, !tbaa !6
%v5 = udiv i64 %v4, 65536
%v6 = getelementptr i8, ptr %vmctx, i64 104
%v7 = load ptr, ptr %v6, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v8 = getelementptr i8, ptr %vmctx, i64 8
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %v9, i64 8
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = call i64 %v11(ptr %v7, i64 %v5)
ret i64 %v12
}

define hidden void @f2(ptr noundef nonnull align 8 dereferenceable(304) %vmctx, i64 noundef %p0, i32 noundef %p1) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 104
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %vmctx, i64 120
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = zext i32 %p1 to i64
%v6 = zext i32 %p1 to i64
%v7 = getelementptr i8, ptr %vmctx, i64 8
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v9 = getelementptr i8, ptr %v8, i64 16
%v10 = load ptr, ptr %v9, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v10(ptr %execution, ptr %v2, ptr %v4, i64 %p0, i64 %v6, i64 %v5)
%v11 = getelementptr i8, ptr %vmctx, i64 104
%v12 = load ptr, ptr %v11, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v13 = getelementptr i8, ptr %vmctx, i64 8
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v15 = getelementptr i8, ptr %v14, i64 24
%v16 = load ptr, ptr %v15, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v16(ptr %execution, ptr %v12, i64 %p0, i32 %p1, i64 %p0)
ret void
}

define hidden i64 @f3(ptr noundef nonnull align 8 dereferenceable(304) %vmctx, i64 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 136
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v2, i64 8
%v4 = load i64, ptr %v3, align 8, !tbaa !6
%v5 = icmp uge i64 %p0, %v4
br i1 %v5, label %trap.out_of_bounds_table_access, label %v6, !prof !0
v6:
%v7 = getelementptr i8, ptr %vmctx, i64 128
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v9 = getelementptr ptr, ptr %v8, i64 %p0
%v10 = load ptr, ptr %v9, align 8, !tbaa !8
%v11 = getelementptr i8, ptr %vmctx, i64 136
%v12 = load ptr, ptr %v11, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v13 = getelementptr i8, ptr %v12, i64 8
%v14 = load i64, ptr %v13, align 8, !tbaa !6
%v15 = icmp uge i64 %p0, %v14
br i1 %v15, label %trap.out_of_bounds_table_access, label %v16, !prof !0
v16:
%v17 = getelementptr i8, ptr %vmctx, i64 128
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = getelementptr ptr, ptr %v18, i64 %p0
store volatile ptr %v10, ptr %v19, align 8, !tbaa !8
%v20 = getelementptr i8, ptr %vmctx, i64 136
%v21 = load ptr, ptr %v20, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v22 = getelementptr i8, ptr %v21, i64 8
%v23 = load i64, ptr %v22, align 8, !tbaa !6
%v24 = icmp uge i64 %p0, %v23
br i1 %v24, label %trap.undefined_element, label %v25, !prof !0
v25:
%v26 = getelementptr i8, ptr %vmctx, i64 128
%v27 = load ptr, ptr %v26, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v28 = getelementptr ptr, ptr %v27, i64 %p0
%v29 = load ptr, ptr %v28, align 8, !tbaa !8
%v30 = getelementptr i8, ptr %v29, i64 16
%v31 = load volatile i32, ptr %v30, align 4, !tbaa !6
%v32 = getelementptr i8, ptr %vmctx, i64 24
%v33 = load ptr, ptr %v32, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v34 = getelementptr i8, ptr %v33, i64 16
%v35 = load i32, ptr %v34, align 4, !invariant.load !2, !tbaa !6
%v36 = icmp ne i32 %v31, %v35
br i1 %v36, label %trap.indirect_call_type_mismatch, label %v37, !prof !0
v37:
%v38 = load ptr, ptr %v29, align 8, !tbaa !6
%v39 = getelementptr i8, ptr %v29, i64 8
%v40 = load ptr, ptr %v39, align 8, !tbaa !6
call void %v38(ptr %v40)
%v41 = getelementptr i8, ptr %vmctx, i64 136
%v42 = load ptr, ptr %v41, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v43 = getelementptr i8, ptr %v42, i64 8
%v44 = load i64, ptr %v43, align 8, !tbaa !6
ret i64 %v44
trap.indirect_call_type_mismatch:
%trap.indirect_call_type_mismatch.at = getelementptr i8, ptr %vmctx, i64 8
%trap.indirect_call_type_mismatch.runtime = load ptr, ptr %trap.indirect_call_type_mismatch.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.indirect_call_type_mismatch.entry = getelementptr i8, ptr %trap.indirect_call_type_mismatch.runtime, i64 0
%trap.indirect_call_type_mismatch.exit = load ptr, ptr %trap.indirect_call_type_mismatch.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.indirect_call_type_mismatch.exit(i32 9) #1
unreachable
trap.out_of_bounds_table_access:
%trap.out_of_bounds_table_access.at = getelementptr i8, ptr %vmctx, i64 8
%trap.out_of_bounds_table_access.runtime = load ptr, ptr %trap.out_of_bounds_table_access.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.out_of_bounds_table_access.entry = getelementptr i8, ptr %trap.out_of_bounds_table_access.runtime, i64 0
%trap.out_of_bounds_table_access.exit = load ptr, ptr %trap.out_of_bounds_table_access.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.out_of_bounds_table_access.exit(i32 6) #1
unreachable
trap.undefined_element:
%trap.undefined_element.at = getelementptr i8, ptr %vmctx, i64 8
%trap.undefined_element.runtime = load ptr, ptr %trap.undefined_element.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.undefined_element.entry = getelementptr i8, ptr %trap.undefined_element.runtime, i64 0
%trap.undefined_element.exit = load ptr, ptr %trap.undefined_element.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.undefined_element.exit(i32 7) #1
unreachable
}

