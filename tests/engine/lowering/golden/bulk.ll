define hidden void @f0(ptr noundef nonnull align 8 dereferenceable(256) %vmctx, i32 noundef %p0, i32 noundef %p1, i32 noundef %p2) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 104
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %vmctx, i64 104
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = zext i32 %p2 to i64
%v6 = zext i32 %p1 to i64
%v7 = zext i32 %p0 to i64
%v8 = getelementptr i8, ptr %vmctx, i64 8
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %v9, i64 16
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v11(ptr %execution, ptr %v2, ptr %v4, i64 %v7, i64 %v6, i64 %v5)
%v12 = zext i32 %p2 to i64
%v13 = zext i32 %p0 to i64
%v14 = getelementptr i8, ptr %vmctx, i64 104
%v15 = load ptr, ptr %v14, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v16 = getelementptr i8, ptr %vmctx, i64 8
%v17 = load ptr, ptr %v16, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v18 = getelementptr i8, ptr %v17, i64 24
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v19(ptr %execution, ptr %v15, i64 %v13, i32 %p1, i64 %v12)
%v20 = zext i32 %p2 to i64
%v21 = zext i32 %p1 to i64
%v22 = zext i32 %p0 to i64
%v23 = getelementptr i8, ptr %vmctx, i64 104
%v24 = load ptr, ptr %v23, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v25 = getelementptr i8, ptr %vmctx, i64 144
%v26 = getelementptr i8, ptr %vmctx, i64 8
%v27 = load ptr, ptr %v26, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v28 = getelementptr i8, ptr %v27, i64 32
%v29 = load ptr, ptr %v28, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v29(ptr %execution, ptr %v24, ptr %v25, i64 %v22, i64 %v21, i64 %v20)
%v30 = getelementptr i8, ptr %vmctx, i64 152
store volatile i64 0, ptr %v30, align 8, !tbaa !6
ret void
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(256) %vmctx, i32 noundef %p0, i32 noundef %p1, i32 noundef %p2, ptr noundef %p3) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 120
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %vmctx, i64 120
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = zext i32 %p0 to i64
%v6 = zext i32 %p1 to i64
%v7 = zext i32 %p2 to i64
%v8 = getelementptr i8, ptr %vmctx, i64 8
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v10 = getelementptr i8, ptr %v9, i64 48
%v11 = load ptr, ptr %v10, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v11(ptr %execution, ptr %v2, ptr %v4, i64 %v5, i64 %v6, i64 %v7)
%v12 = zext i32 %p0 to i64
%v13 = zext i32 %p1 to i64
%v14 = zext i32 %p2 to i64
%v15 = getelementptr i8, ptr %vmctx, i64 120
%v16 = load ptr, ptr %v15, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v17 = getelementptr i8, ptr %vmctx, i64 160
%v18 = getelementptr i8, ptr %vmctx, i64 8
%v19 = load ptr, ptr %v18, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v20 = getelementptr i8, ptr %v19, i64 64
%v21 = load ptr, ptr %v20, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v21(ptr %execution, ptr %v16, ptr %v17, i64 %v12, i64 %v13, i64 %v14)
%v22 = getelementptr i8, ptr %vmctx, i64 168
store volatile i64 0, ptr %v22, align 8, !tbaa !6
%v23 = zext i32 %p2 to i64
%v24 = zext i32 %p0 to i64
%v25 = getelementptr i8, ptr %vmctx, i64 136
%v26 = load ptr, ptr %v25, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v27 = getelementptr i8, ptr %vmctx, i64 8
%v28 = load ptr, ptr %v27, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v29 = getelementptr i8, ptr %v28, i64 56
%v30 = load ptr, ptr %v29, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %v30(ptr %execution, ptr %v26, i64 %v24, ptr %p3, i64 %v23)
%v31 = getelementptr i8, ptr %vmctx, i64 136
%v32 = load ptr, ptr %v31, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v33 = getelementptr i8, ptr %v32, i64 8
%v34 = load i64, ptr %v33, align 8, !tbaa !6
%v35 = trunc i64 %v34 to i32
%v36 = zext i32 %v35 to i64
%v37 = getelementptr i8, ptr %vmctx, i64 136
%v38 = load ptr, ptr %v37, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v39 = getelementptr i8, ptr %vmctx, i64 8
%v40 = load ptr, ptr %v39, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v41 = getelementptr i8, ptr %v40, i64 40
%v42 = load ptr, ptr %v41, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v43 = call i64 %v42(ptr %v38, i64 %v36, ptr %p3)
%v44 = trunc i64 %v43 to i32
ret i32 %v44
}

