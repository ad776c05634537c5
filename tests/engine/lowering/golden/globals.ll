define hidden fastcc {i32, i64, float, i32, ptr} @f0(ptr noundef nonnull align 8 dereferenceable(272) %vmctx) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 176
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = load i32, ptr %v2, align 4, !invariant.load !2, !tbaa !6
%v4 = getelementptr i8, ptr %vmctx, i64 72
%v5 = load float, ptr %v4, align 4, !invariant.load !2, !tbaa !6
%v6 = getelementptr i8, ptr %vmctx, i64 128
%v7 = load i32, ptr %v6, align 4, !invariant.load !2, !tbaa !6
%v8 = insertvalue {i32, i64, float, i32, ptr} poison, i32 %v3, 0
%v9 = insertvalue {i32, i64, float, i32, ptr} %v8, i64 42, 1
%v10 = insertvalue {i32, i64, float, i32, ptr} %v9, float %v5, 2
%v11 = insertvalue {i32, i64, float, i32, ptr} %v10, i32 %v7, 3
%v12 = insertvalue {i32, i64, float, i32, ptr} %v11, ptr null, 4
ret {i32, i64, float, i32, ptr} %v12
}

define hidden double @f1(ptr noundef nonnull align 8 dereferenceable(272) %vmctx, double noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 160
%v2 = load i32, ptr %v1, align 4, !tbaa !7
%v3 = add i32 %v2, 1
%v4 = getelementptr i8, ptr %vmctx, i64 160
store volatile i32 %v3, ptr %v4, align 4, !tbaa !7
%v5 = getelementptr i8, ptr %vmctx, i64 184
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v7 = load double, ptr %v6, align 8, !tbaa !7
%v8 = getelementptr i8, ptr %vmctx, i64 184
%v9 = load ptr, ptr %v8, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
store volatile double %p0, ptr %v9, align 8, !tbaa !7
ret double %v7
}

