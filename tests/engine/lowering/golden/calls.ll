define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(384) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = call {i32, double} @f2(ptr %vmctx, i32 %p0)
%v2 = extractvalue {i32, double} %v1, 0
%v3 = extractvalue {i32, double} %v1, 1
ret i32 %v2
}

define hidden {i32, double} @f2(ptr noundef nonnull align 8 dereferenceable(384) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = insertvalue {i32, double} poison, i32 1, 0
%v2 = insertvalue {i32, double} %v1, double bitcast (i64 4612811918334230528 to double), 1
ret {i32, double} %v2
}

define hidden i64 @f3(ptr noundef nonnull align 8 dereferenceable(384) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 128
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %vmctx, i64 136
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = call i64 %v2(ptr %v4, i32 %p0)
ret i64 %v5
}

define hidden {i32, double} @f4(ptr noundef nonnull align 8 dereferenceable(384) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = zext i32 2 to i64
%v2 = icmp uge i64 %v1, 4
br i1 %v2, label %trap.undefined_element, label %v3, !prof !0
v3:
%v4 = getelementptr i8, ptr %vmctx, i64 112
%v5 = load ptr, ptr %v4, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v6 = getelementptr ptr, ptr %v5, i64 %v1
%v7 = load ptr, ptr %v6, align 8, !tbaa !8
%v8 = getelementptr i8, ptr %v7, i64 16
%v9 = load volatile i32, ptr %v8, align 4, !tbaa !6
%v10 = getelementptr i8, ptr %vmctx, i64 24
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = load i32, ptr %v11, align 4, !invariant.load !2, !tbaa !6
%v13 = icmp ne i32 %v9, %v12
br i1 %v13, label %trap.indirect_call_type_mismatch, label %v14, !prof !0
v14:
%v15 = load ptr, ptr %v7, align 8, !tbaa !6
%v16 = getelementptr i8, ptr %v7, i64 8
%v17 = load ptr, ptr %v16, align 8, !tbaa !6
%v18 = call {i32, double} %v15(ptr %v17, i32 %p0)
%v19 = extractvalue {i32, double} %v18, 0
%v20 = extractvalue {i32, double} %v18, 1
%v21 = insertvalue {i32, double} poison, i32 %v19, 0
%v22 = insertvalue {i32, double} %v21, double %v20, 1
ret {i32, double} %v22
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

define hidden i32 @f5(ptr noundef nonnull align 8 dereferenceable(384) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = getelementptr i8, ptr %vmctx, i64 104
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 8
%v5 = load i64, ptr %v4, align 8, !tbaa !6
%v6 = icmp uge i64 %v1, %v5
br i1 %v6, label %trap.undefined_element, label %v7, !prof !0
v7:
%v8 = getelementptr i8, ptr %vmctx, i64 96
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr ptr, ptr %v9, i64 %v1
%v11 = load ptr, ptr %v10, align 8, !tbaa !8
%v12 = getelementptr i8, ptr %v11, i64 16
%v13 = load volatile i32, ptr %v12, align 4, !tbaa !6
%v14 = getelementptr i8, ptr %vmctx, i64 24
%v15 = load ptr, ptr %v14, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v16 = getelementptr i8, ptr %v15, i64 8
%v17 = load i32, ptr %v16, align 4, !invariant.load !2, !tbaa !6
%v18 = icmp ne i32 %v13, %v17
br i1 %v18, label %trap.indirect_call_type_mismatch, label %v19, !prof !0
v19:
%v20 = load ptr, ptr %v11, align 8, !tbaa !6
%v21 = getelementptr i8, ptr %v11, i64 8
%v22 = load ptr, ptr %v21, align 8, !tbaa !6
%v23 = call i32 %v20(ptr %v22, i32 %p0)
ret i32 %v23
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

