define hidden {i32, i64} @f0(ptr noundef nonnull align 8 dereferenceable(296) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v2 = icmp ne i32 %p0, 0
br i1 %v2, label %v1, label %v3
v3:
%v4.c = icmp eq i32 %p0, 0
br i1 %v4.c, label %return, label %v5
v5:
br label %v1
v1:
%v1.0 = phi i32 [ 1, %body ], [ 3, %v5 ]
%v1.1 = phi i64 [ 2, %body ], [ 4, %v5 ]
br label %return
return:
%return.0 = phi i32 [ 1, %v3 ], [ %v1.0, %v1 ]
%return.1 = phi i64 [ 2, %v3 ], [ %v1.1, %v1 ]
%v6 = insertvalue {i32, i64} poison, i32 %return.0, 0
%v7 = insertvalue {i32, i64} %v6, i64 %return.1, 1
ret {i32, i64} %v7
}

define hidden i32 @f1(ptr noundef nonnull align 8 dereferenceable(296) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
switch i32 %p0, label %v2 [ i32 0, label %v3 i32 2, label %v3 i32 3, label %v1 ]
v3:
br label %return
v2:
br label %return
v1:
br label %return
return:
%return.0 = phi i32 [ 10, %v3 ], [ 20, %v2 ], [ 30, %v1 ]
ret i32 %return.0
}

define hidden i32 @f2(ptr noundef nonnull align 8 dereferenceable(296) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
switch i32 %p0, label %v3.to1 [ i32 0, label %v3.to0 i32 2, label %v3.to0 ]
v3.to0:
br label %v2
v3.to1:
br label %v1
v2:
%v2.0 = phi i32 [ 7, %v3.to0 ]
%v4 = add i32 %v2.0, 1
br label %v1
v1:
%v1.0 = phi i32 [ 7, %v3.to1 ], [ %v4, %v2 ]
ret i32 %v1.0
}

define hidden i32 @f3(ptr noundef nonnull align 8 dereferenceable(296) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
br label %trap.unreachable
trap.unreachable:
%trap.unreachable.at = getelementptr i8, ptr %vmctx, i64 8
%trap.unreachable.runtime = load ptr, ptr %trap.unreachable.at, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%trap.unreachable.entry = getelementptr i8, ptr %trap.unreachable.runtime, i64 0
%trap.unreachable.exit = load ptr, ptr %trap.unreachable.entry, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
call void %trap.unreachable.exit(i32 1) #1
unreachable
}

define hidden i32 @f4(ptr noundef nonnull align 8 dereferenceable(296) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1 = icmp ne i32 %p0, 0
br i1 %v1, label %v2.then, label %v2.else
v2.then:
%v3 = add i32 %p0, 1
br label %v2
v2.else:
br label %v2
v2:
%v2.0 = phi i32 [ %v3, %v2.then ], [ %p0, %v2.else ]
ret i32 %v2.0
}

