define hidden {float, i32} @f0(ptr noundef nonnull align 8 dereferenceable(176) %vmctx, i32 noundef %p0, i64 noundef %p1, float noundef %p2, double noundef %p3, ptr noundef %p4) #0 align 32 {
entry:
%slots = alloca [5 x i64], align 16
br label %body
body:
%v1 = zext i32 %p0 to i64
store i64 %v1, ptr %slots, align 8
%v2 = getelementptr i8, ptr %slots, i64 8
store i64 %p1, ptr %v2, align 8
%v3 = bitcast float %p2 to i32
%v4 = zext i32 %v3 to i64
%v5 = getelementptr i8, ptr %slots, i64 16
store i64 %v4, ptr %v5, align 8
%v6 = getelementptr i8, ptr %slots, i64 24
store double %p3, ptr %v6, align 8
%v7 = getelementptr i8, ptr %slots, i64 32
store ptr %p4, ptr %v7, align 8
%v8 = getelementptr i8, ptr %vmctx, i64 8
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %v9, i64 72
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v11(ptr %vmctx, i32 0, ptr %slots)
%v12 = icmp ne i32 1, 0
br i1 %v12, label %return, label %v13
v13:
br label %return
return:
%return.0 = phi float [ %p2, %body ], [ %p2, %v13 ]
%return.1 = phi i32 [ %p0, %body ], [ 2, %v13 ]
%v14 = bitcast float %return.0 to i32
%v15 = zext i32 %v14 to i64
store i64 %v15, ptr %slots, align 8
%v16 = zext i32 %return.1 to i64
%v17 = getelementptr i8, ptr %slots, i64 8
store i64 %v16, ptr %v17, align 8
%v18 = getelementptr i8, ptr %vmctx, i64 8
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v20 = getelementptr i8, ptr %v19, i64 80
%v21 = load ptr, ptr %v20, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v21(ptr %vmctx, i32 0, ptr %slots)
%v22 = insertvalue {float, i32} poison, float %return.0, 0
%v23 = insertvalue {float, i32} %v22, i32 %return.1, 1
ret {float, i32} %v23
}

define hidden void @f1(ptr noundef nonnull align 8 dereferenceable(176) %vmctx) #0 align 32 {
entry:
%slots = alloca [1 x i64], align 16
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 8
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v2, i64 72
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v4(ptr %vmctx, i32 1, ptr %slots)
%v5 = getelementptr i8, ptr %vmctx, i64 8
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v7 = getelementptr i8, ptr %v6, i64 80
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v8(ptr %vmctx, i32 1, ptr %slots)
ret void
}

