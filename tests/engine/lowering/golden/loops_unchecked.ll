define hidden i64 @f0(ptr noundef nonnull align 8 dereferenceable(272) %vmctx, i64 noundef %p0) #0 align 32 {
entry:
%l0 = alloca i64, align 8
br label %body
body:
store i64 %p0, ptr %l0, align 8
br label %v1
v1:
%v1.0 = phi i64 [ 0, %body ], [ %v2, %v1 ]
%v1.1 = phi i64 [ %p0, %body ], [ %v3, %v1 ]
store i64 %v1.1, ptr %l0, align 8
%v2 = add i64 %v1.0, %v1.1
%v3 = sub i64 %v1.1, 1
store i64 %v3, ptr %l0, align 8
%v4.c = icmp ne i64 %v3, 0
br i1 %v4.c, label %v1, label %v5
v5:
ret i64 %v2
}

define hidden void @f1(ptr noundef nonnull align 8 dereferenceable(272) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%l0 = alloca i32, align 4
br label %body
body:
store i32 %p0, ptr %l0, align 4
br label %v1
v1:
%v2 = load i32, ptr %l0, align 4
%v3 = icmp ne i32 %v2, 0
br i1 %v3, label %return, label %v4
v4:
br label %return
return:
ret void
}

define hidden void @f2(ptr noundef nonnull align 8 dereferenceable(272) %vmctx) #0 align 32 {
entry:
br label %body
body:
br label %v1
v1:
br label %v1
}

define hidden void @f3(ptr noundef nonnull align 8 dereferenceable(272) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%l0 = alloca i32, align 4
br label %body
body:
store i32 %p0, ptr %l0, align 4
%v1 = zext i32 %p0 to i64
%v2 = getelementptr i8, ptr %vmctx, i64 96
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 %v1
store volatile i32 1, ptr %v4, align 1, !tbaa !5
%v5.memory0.at = getelementptr i8, ptr %vmctx, i64 96
%v5.memory0 = load ptr, ptr %v5.memory0.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %v5
v5:
br label %v6
v6:
%v7 = load i32, ptr %l0, align 4
%v8 = sub i32 %v7, 4
store i32 %v8, ptr %l0, align 4
%v9 = zext i32 %v8 to i64
%v10 = getelementptr i8, ptr %v5.memory0, i64 %v9
store volatile i32 0, ptr %v10, align 1, !tbaa !5
%v11 = and i32 %v8, 255
%v12 = icmp ne i32 %v11, 0
br i1 %v12, label %v6, label %v13
v13:
%v14 = icmp ne i32 %v8, 0
br i1 %v14, label %v5, label %v15
v15:
%v16 = zext i32 %v8 to i64
%v17 = getelementptr i8, ptr %vmctx, i64 96
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = getelementptr i8, ptr %v18, i64 %v16
store volatile i32 2, ptr %v19, align 1, !tbaa !5
ret void
}

