define hidden fastcc i64 @f0(ptr noundef nonnull align 8 dereferenceable(176) %vmctx, i64 noundef %p0) #0 align 32 {
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

define hidden fastcc void @f1(ptr noundef nonnull align 8 dereferenceable(176) %vmctx, i32 noundef %p0) #0 align 32 {
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

define hidden fastcc void @f2(ptr noundef nonnull align 8 dereferenceable(176) %vmctx) #0 align 32 {
entry:
br label %body
body:
br label %v1
v1:
br label %v1
}

