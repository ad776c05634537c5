define hidden i32 @f0(ptr noundef nonnull align 8 dereferenceable(288) %vmctx, ptr noundef %p0, i32 noundef %p1) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_function_reference, label %v2, !prof !0
v2:
%v3 = load ptr, ptr %p0, align 8, !tbaa !6
%v4 = getelementptr i8, ptr %p0, i64 8
%v5 = load ptr, ptr %v4, align 8, !tbaa !6
%v6 = call i32 %v3(ptr %v5, i32 %p1)
ret i32 %v6
trap.null_function_reference:
%trap.null_function_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_function_reference.runtime = load ptr, ptr %trap.null_function_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_function_reference.entry = getelementptr i8, ptr %trap.null_function_reference.runtime, i64 0
%trap.null_function_reference.exit = load ptr, ptr %trap.null_function_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_function_reference.exit(i32 15) #1
unreachable
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(288) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = icmp uge i64 %v1, 4
br i1 %v2, label %trap.undefined_element, label %v3, !prof !0
v3:
%v4 = getelementptr i8, ptr %vmctx, i64 96
%v5 = load ptr, ptr %v4, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v6 = getelementptr ptr, ptr %v5, i64 %v1
%v7 = load ptr, ptr %v6, align 8, !tbaa !8
%v8 = getelementptr i8, ptr %v7, i64 16
%v9 = load volatile i32, ptr %v8, align 4, !tbaa !6
%v10 = getelementptr i8, ptr %vmctx, i64 24
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = load i32, ptr %v11, align 4, !invariant.load !2, !tbaa !6
%v13 = icmp ne i32 %v9, %v12
br i1 %v13, label %v14.other, label %v14, !prof !0
v14.other:
%v15 = getelementptr i8, ptr %v7, i64 32
%v16 = load ptr, ptr %v15, align 8, !tbaa !6
%v17 = getelementptr i8, ptr %vmctx, i64 280
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v20 = getelementptr i8, ptr %v16, i64 4
%v21 = load i32, ptr %v20, align 4, !invariant.load !2, !tbaa !6
%v22 = icmp ule i32 %v21, 0
br i1 %v22, label %v23.done, label %v23.test
v23.test:
%v24 = getelementptr i8, ptr %v16, i64 32
%v25 = load ptr, ptr %v24, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v26 = icmp eq ptr %v25, %v19
br label %v23.done
v23.done:
%v27 = phi i1 [ false, %v14.other ], [ %v26, %v23.test ]
%v28 = xor i1 %v27, true
br i1 %v28, label %trap.indirect_call_type_mismatch, label %v29, !prof !0
v29:
br label %v14
v14:
%v30 = load ptr, ptr %v7, align 8, !tbaa !6
%v31 = getelementptr i8, ptr %v7, i64 8
%v32 = load ptr, ptr %v31, align 8, !tbaa !6
%v33 = call i32 %v30(ptr %v32, i32 5)
ret i32 %v33
trap.indirect_call_type_mismatch:
%trap.indirect_call_type_mismatch.at = getelementptr i8, ptr %vmctx, i64 8
%trap.indirect_call_type_mismatch.runtime = load ptr, ptr %trap.indirect_call_type_mismatch.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.indirect_call_type_mismatch.entry = getelementptr i8, ptr %trap.indirect_call_type_mismatch.runtime, i64 0
%trap.indirect_call_type_mismatch.exit = load ptr, ptr %trap.indirect_call_type_mismatch.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.indirect_call_type_mismatch.exit(i32 9) #1
unreachable
trap.undefined_element:
%trap.undefined_element.at = getelementptr i8, ptr %vmctx, i64 8
%trap.undefined_element.runtime = load ptr, ptr %trap.undefined_element.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.undefined_element.entry = getelementptr i8, ptr %trap.undefined_element.runtime, i64 0
%trap.undefined_element.exit = load ptr, ptr %trap.undefined_element.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.undefined_element.exit(i32 7) #1
unreachable
}

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(288) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v2 = icmp eq ptr %p0, null
br i1 %v2, label %v1, label %v3
v3:
br label %return
v1:
br label %return
return:
%return.0 = phi i32 [ 1, %v3 ], [ 0, %v1 ]
ret i32 %return.0
}

define hidden ptr @f3(ptr noundef nonnull align 8 dereferenceable(288) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_reference, label %v2, !prof !0
v2:
ret ptr %p0
trap.null_reference:
%trap.null_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_reference.runtime = load ptr, ptr %trap.null_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_reference.entry = getelementptr i8, ptr %trap.null_reference.runtime, i64 0
%trap.null_reference.exit = load ptr, ptr %trap.null_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_reference.exit(i32 14) #1
unreachable
}

!20 = !{!"object", !3}
!21 = !{!20, !20, i64 0}
!22 = !{!"length", !3}
!23 = !{!22, !22, i64 0}

