define hidden tailcc {i32, i64} @t1(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, ptr noundef %block, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v2 = musttail call tailcc {i32, i64} @t1(ptr %vmctx, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %v2
}

define hidden {i32, i64} @f1(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
%block = alloca [144 x i8], align 16
store i64 128, ptr %block, align 8
%result = call tailcc {i32, i64} @t1(ptr %vmctx, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %result
}

define hidden {i32, i64} @f2(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1 = insertvalue {i32, i64} poison, i32 %p0, 0
%v2 = insertvalue {i32, i64} %v1, i64 %p1, 1
ret {i32, i64} %v2
}

define hidden tailcc {i32, i64} @t3(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, ptr noundef %block, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = call {i32, i64} @f2(ptr %vmctx, i32 %p0, i64 %p1)
%v2 = extractvalue {i32, i64} %v1, 0
%v3 = extractvalue {i32, i64} %v1, 1
%v4 = insertvalue {i32, i64} poison, i32 %v2, 0
%v5 = insertvalue {i32, i64} %v4, i64 %v3, 1
ret {i32, i64} %v5
}

define hidden {i32, i64} @f3(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
%block = alloca [144 x i8], align 16
store i64 128, ptr %block, align 8
%result = call tailcc {i32, i64} @t3(ptr %vmctx, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %result
}

define hidden tailcc {i32, i64} @t4(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, ptr noundef %block, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
entry:
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = getelementptr i8, ptr %vmctx, i64 128
%v2 = load ptr, ptr %v1, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v3 = getelementptr i8, ptr %v1, i64 8
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %v1, i64 24
%v6 = load ptr, ptr %v5, align 8, !invariant.load !2, !tbaa !6
%v7 = icmp eq ptr %v6, null
br i1 %v7, label %v8.call, label %v8.tail
v8.tail:
%v10 = musttail call tailcc {i32, i64} %v6(ptr %v4, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %v10
v8.call:
%v11 = call {i32, i64} %v2(ptr %v4, i32 %p0, i64 %p1)
%v12 = extractvalue {i32, i64} %v11, 0
%v13 = extractvalue {i32, i64} %v11, 1
%v14 = insertvalue {i32, i64} poison, i32 %v12, 0
%v15 = insertvalue {i32, i64} %v14, i64 %v13, 1
ret {i32, i64} %v15
}

define hidden {i32, i64} @f4(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
%block = alloca [144 x i8], align 16
store i64 128, ptr %block, align 8
%result = call tailcc {i32, i64} @t4(ptr %vmctx, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %result
}

define hidden tailcc {i32, i64} @t5(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, ptr noundef %block, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
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
%v16 = load i32, ptr %v15, align 4, !invariant.load !2, !tbaa !6
%v17 = icmp ne i32 %v13, %v16
br i1 %v17, label %trap.indirect_call_type_mismatch, label %v18, !prof !0
v18:
%v19 = load ptr, ptr %v11, align 8, !tbaa !6
%v20 = getelementptr i8, ptr %v11, i64 8
%v21 = load ptr, ptr %v20, align 8, !tbaa !6
%v22 = getelementptr i8, ptr %v11, i64 24
%v23 = load ptr, ptr %v22, align 8, !tbaa !6
%v24 = icmp eq ptr %v23, null
br i1 %v24, label %v25.call, label %v25.tail
v25.tail:
%v27 = musttail call tailcc {i32, i64} %v23(ptr %v21, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %v27
v25.call:
%v28 = call {i32, i64} %v19(ptr %v21, i32 %p0, i64 %p1)
%v29 = extractvalue {i32, i64} %v28, 0
%v30 = extractvalue {i32, i64} %v28, 1
%v31 = insertvalue {i32, i64} poison, i32 %v29, 0
%v32 = insertvalue {i32, i64} %v31, i64 %v30, 1
ret {i32, i64} %v32
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

define hidden {i32, i64} @f5(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i64 noundef %p1) #0 align 32 {
%block = alloca [144 x i8], align 16
store i64 128, ptr %block, align 8
%result = call tailcc {i32, i64} @t5(ptr %vmctx, ptr %block, i32 %p0, i64 %p1)
ret {i32, i64} %result
}

define hidden tailcc void @t6(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, ptr noundef %block, i32 noundef %p0, i32 noundef %p1, i32 noundef %p2, i32 noundef %p3, double noundef %p5) #0 align 32 {
entry:
%p4.at = getelementptr i8, ptr %block, i64 16
%p4 = load i32, ptr %p4.at, align 4
%execution = load ptr, ptr %vmctx, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%check = load volatile i64, ptr %execution, align 8
br label %body
body:
%v1 = load i64, ptr %block, align 8
%v2 = icmp ult i64 %v1, 16
br i1 %v2, label %v3.call, label %v3.tail
v3.tail:
%v4.0 = getelementptr i8, ptr %block, i64 16
store i32 %p0, ptr %v4.0, align 4
musttail call tailcc void @t6(ptr %vmctx, ptr %block, i32 %p4, i32 %p3, i32 %p2, i32 %p1, double %p5)
ret void
v3.call:
%v5 = call fastcc {i32, i32, i32} @f6(ptr %vmctx, i32 %p4, i32 %p3, i32 %p2, i32 %p1, i32 %p0, double %p5)
%v6 = extractvalue {i32, i32, i32} %v5, 0
%v7 = extractvalue {i32, i32, i32} %v5, 1
%v8 = extractvalue {i32, i32, i32} %v5, 2
%v9.0 = getelementptr i8, ptr %block, i64 16
store i32 %v6, ptr %v9.0, align 4
%v9.1 = getelementptr i8, ptr %block, i64 32
store i32 %v7, ptr %v9.1, align 4
%v9.2 = getelementptr i8, ptr %block, i64 48
store i32 %v8, ptr %v9.2, align 4
ret void
}

define hidden fastcc {i32, i32, i32} @f6(ptr noundef nonnull align 8 dereferenceable(408) %vmctx, i32 noundef %p0, i32 noundef %p1, i32 noundef %p2, i32 noundef %p3, i32 noundef %p4, double noundef %p5) #0 align 32 {
%block = alloca [144 x i8], align 16
store i64 128, ptr %block, align 8
%argument.0 = getelementptr i8, ptr %block, i64 16
store i32 %p4, ptr %argument.0, align 4
call tailcc void @t6(ptr %vmctx, ptr %block, i32 %p0, i32 %p1, i32 %p2, i32 %p3, double %p5)
%r0.at = getelementptr i8, ptr %block, i64 16
%r0 = load i32, ptr %r0.at, align 4
%r0.all = insertvalue {i32, i32, i32} poison, i32 %r0, 0
%r1.at = getelementptr i8, ptr %block, i64 32
%r1 = load i32, ptr %r1.at, align 4
%r1.all = insertvalue {i32, i32, i32} %r0.all, i32 %r1, 1
%r2.at = getelementptr i8, ptr %block, i64 48
%r2 = load i32, ptr %r2.at, align 4
%r2.all = insertvalue {i32, i32, i32} %r1.all, i32 %r2, 2
ret {i32, i32, i32} %r2.all
}

