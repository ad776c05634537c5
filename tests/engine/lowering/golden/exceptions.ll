define hidden void @f0(ptr noundef nonnull align 8 dereferenceable(280) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 256
%v2 = load ptr, ptr %v1, align 8, !tbaa !6
%v3 = getelementptr i8, ptr %vmctx, i64 264
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %vmctx, i64 8
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v7 = getelementptr i8, ptr %v6, i64 112
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v9 = call ptr %v8(ptr %v2, ptr %v4, i64 16)
%v10 = getelementptr i8, ptr %v9, i64 48
store i32 %p0, ptr %v10, align 4
%v11 = getelementptr i8, ptr %v9, i64 56
store i64 %p1, ptr %v11, align 8
%v12 = getelementptr i8, ptr %vmctx, i64 8
%v13 = load ptr, ptr %v12, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v14 = getelementptr i8, ptr %v13, i64 128
%v15 = load ptr, ptr %v14, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v15(ptr %v9) #1
unreachable
}

define hidden void @f1(ptr noundef nonnull align 8 dereferenceable(280) %vmctx, ptr noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = icmp eq ptr %p0, null
br i1 %v1, label %trap.null_exception_reference, label %v2, !prof !0
v2:
%v3 = getelementptr i8, ptr %vmctx, i64 8
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %v4, i64 128
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v6(ptr %p0) #1
unreachable
trap.null_exception_reference:
%trap.null_exception_reference.at = getelementptr i8, ptr %vmctx, i64 8
%trap.null_exception_reference.runtime = load ptr, ptr %trap.null_exception_reference.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.null_exception_reference.entry = getelementptr i8, ptr %trap.null_exception_reference.runtime, i64 0
%trap.null_exception_reference.exit = load ptr, ptr %trap.null_exception_reference.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.null_exception_reference.exit(i32 11) #1
unreachable
}

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(280) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%l1 = alloca i32, align 4
%handler0 = alloca [576 x i8], align 16
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%handlers.functions.at = getelementptr i8, ptr %vmctx, i64 8
%handlers.functions = load ptr, ptr %handlers.functions.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%handlers.code.at = getelementptr i8, ptr %handlers.functions, i64 96
%handlers.code = load ptr, ptr %handlers.code.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%handlers = call ptr %handlers.code()
store i32 0, ptr %l1, align 4
%v3.outer = load ptr, ptr %handlers, align 8
store ptr %v3.outer, ptr %handler0, align 8
%v4 = getelementptr i8, ptr %handler0, i64 8
store ptr %v3.outer, ptr %v4, align 8
%v5 = getelementptr i8, ptr %handler0, i64 16
store i64 2, ptr %v5, align 8
%v6 = getelementptr i8, ptr %handler0, i64 32
store ptr %handler0, ptr %v6, align 8
%v7 = getelementptr i8, ptr %vmctx, i64 264
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v9 = getelementptr i8, ptr %handler0, i64 560
store ptr %v8, ptr %v9, align 8
%v10 = getelementptr i8, ptr %handler0, i64 568
store ptr null, ptr %v10, align 8
store ptr %handler0, ptr %handlers, align 8
%v11 = getelementptr i8, ptr %vmctx, i64 8
%v12 = load ptr, ptr %v11, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v13 = getelementptr i8, ptr %v12, i64 104
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v15 = getelementptr i8, ptr %handler0, i64 48
%v16 = call i32 %v14(ptr %v15) returns_twice
%v17 = icmp eq i32 %v16, 1
br i1 %v17, label %v3.catch0, label %v3.not1
v3.not1:
%v18 = icmp eq i32 %v16, 2
br i1 %v18, label %v3.catch1, label %v3.try
v3.catch0:
%v19 = getelementptr i8, ptr %handler0, i64 24
%v20 = load volatile ptr, ptr %v19, align 8
%v21 = getelementptr i8, ptr %v20, i64 48
%v22 = load i32, ptr %v21, align 4
%v23 = getelementptr i8, ptr %v20, i64 56
%v24 = load i64, ptr %v23, align 8
%v25 = getelementptr i8, ptr %vmctx, i64 8
%v26 = load ptr, ptr %v25, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v27 = getelementptr i8, ptr %v26, i64 120
%v28 = load ptr, ptr %v27, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v28(ptr %v20)
br label %v2
v3.catch1:
%v29 = getelementptr i8, ptr %handler0, i64 24
%v30 = load volatile ptr, ptr %v29, align 8
%v31 = getelementptr i8, ptr %v30, i64 32
store i64 1, ptr %v31, align 8
br label %v1
v3.try:
store volatile i32 7, ptr %l1, align 4
call void @f0(ptr %vmctx, i32 %p0, i64 2)
%v33 = icmp ne i32 %p0, 0
br i1 %v33, label %v34.leave, label %v34
v34.leave:
store ptr %v3.outer, ptr %handlers, align 8
br label %v32
v34:
store ptr %v3.outer, ptr %handlers, align 8
br label %v32
v32:
%v35 = load volatile i32, ptr %l1, align 4
br label %return
v2:
%v2.0 = phi i32 [ %v22, %v3.catch0 ]
%v2.1 = phi i64 [ %v24, %v3.catch0 ]
%v36 = load volatile i32, ptr %l1, align 4
%v37 = add i32 %v2.0, %v36
br label %return
v1:
%v1.0 = phi ptr [ %v30, %v3.catch1 ]
br label %return
return:
%return.0 = phi i32 [ %v35, %v32 ], [ %v37, %v2 ], [ 3, %v1 ]
ret i32 %return.0
}

define hidden i32 @f3(ptr noundef nonnull align 8 dereferenceable(280) %vmctx) #0 align 32 {
entry:
%handler0 = alloca [576 x i8], align 16
br label %body
body:
%handlers.functions.at = getelementptr i8, ptr %vmctx, i64 8
%handlers.functions = load ptr, ptr %handlers.functions.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%handlers.code.at = getelementptr i8, ptr %handlers.functions, i64 96
%handlers.code = load ptr, ptr %handlers.code.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%handlers = call ptr %handlers.code()
%v1.outer = load ptr, ptr %handlers, align 8
store ptr %v1.outer, ptr %handler0, align 8
%v28 = getelementptr i8, ptr %handler0, i64 8
store ptr %v1.outer, ptr %v28, align 8
%v29 = getelementptr i8, ptr %handler0, i64 16
store i64 2, ptr %v29, align 8
%v30 = getelementptr i8, ptr %handler0, i64 32
store ptr %handler0, ptr %v30, align 8
%v31 = getelementptr i8, ptr %vmctx, i64 272
%v32 = load ptr, ptr %v31, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v33 = getelementptr i8, ptr %handler0, i64 560
store ptr %v32, ptr %v33, align 8
%v34 = getelementptr i8, ptr %handler0, i64 568
store ptr null, ptr %v34, align 8
store ptr %handler0, ptr %handlers, align 8
%v35 = getelementptr i8, ptr %vmctx, i64 8
%v36 = load ptr, ptr %v35, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v37 = getelementptr i8, ptr %v36, i64 104
%v38 = load ptr, ptr %v37, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v39 = getelementptr i8, ptr %handler0, i64 48
%v40 = call i32 %v38(ptr %v39) returns_twice
%v41 = icmp eq i32 %v40, 1
br i1 %v41, label %v1.catch0, label %v1.not1
v1.not1:
%v42 = icmp eq i32 %v40, 2
br i1 %v42, label %v1.catch1, label %v1.try
v1.try:
%v2 = getelementptr i8, ptr %vmctx, i64 256
%v3 = load ptr, ptr %v2, align 8, !tbaa !6
%v4 = getelementptr i8, ptr %vmctx, i64 272
%v5 = load ptr, ptr %v4, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v6 = getelementptr i8, ptr %vmctx, i64 8
%v7 = load ptr, ptr %v6, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v8 = getelementptr i8, ptr %v7, i64 112
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = call ptr %v9(ptr %v3, ptr %v5, i64 0)
%v11 = getelementptr i8, ptr %vmctx, i64 8
%v12 = load ptr, ptr %v11, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v13 = getelementptr i8, ptr %v12, i64 128
%v14 = load ptr, ptr %v13, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v14(ptr %v10) #1
unreachable
v1.catch0:
%v15 = getelementptr i8, ptr %handler0, i64 24
%v16 = load volatile ptr, ptr %v15, align 8
%v17 = getelementptr i8, ptr %vmctx, i64 8
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = getelementptr i8, ptr %v18, i64 120
%v20 = load ptr, ptr %v19, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v20(ptr %v16)
br label %v1
v1.catch1:
%v21 = getelementptr i8, ptr %handler0, i64 24
%v22 = load volatile ptr, ptr %v21, align 8
%v27 = getelementptr i8, ptr %v22, i64 32
store i64 1, ptr %v27, align 8
%v23 = getelementptr i8, ptr %vmctx, i64 8
%v24 = load ptr, ptr %v23, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v25 = getelementptr i8, ptr %v24, i64 128
%v26 = load ptr, ptr %v25, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v26(ptr %v22) #1
unreachable
v1:
%v1.0 = phi i32 [ 1, %v1.catch0 ]
ret i32 %v1.0
}

