define hidden i32 @f0(ptr noundef nonnull align 8 dereferenceable(168) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %body
body:
%v1 = zext i32 %p0 to i64
%v2 = getelementptr i8, ptr %vmctx, i64 96
%v3 = load ptr, ptr %v2, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v4 = getelementptr i8, ptr %v3, i64 %v1
%v5 = load volatile i32, ptr %v4, align 1, !tbaa !5
%v6 = zext i32 %p0 to i64
%v7 = getelementptr i8, ptr %vmctx, i64 112
%v8 = load ptr, ptr %v7, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v9 = getelementptr i8, ptr %v8, i64 %v6
store volatile i32 %v5, ptr %v9, align 1, !tbaa !5
%v10 = getelementptr i8, ptr %vmctx, i64 120
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v12 = getelementptr i8, ptr %vmctx, i64 104
%v13 = load ptr, ptr %v12, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v14 = zext i32 3 to i64
%v15 = zext i32 2 to i64
%v16 = zext i32 1 to i64
%v17 = getelementptr i8, ptr %vmctx, i64 8
%v18 = load ptr, ptr %v17, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v19 = getelementptr i8, ptr %v18, i64 16
%v20 = load ptr, ptr %v19, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v20(ptr %execution, ptr %v11, ptr %v13, i64 %v16, i64 %v15, i64 %v14)
%v21 = getelementptr i8, ptr %vmctx, i64 120
%v22 = load ptr, ptr %v21, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v23 = getelementptr i8, ptr %v22, i64 8
%v24 = load i64, ptr %v23, align 8, !tbaa !6
%v25 = udiv i64 %v24, 65536
%v26 = trunc i64 %v25 to i32
ret i32 %v26
}

