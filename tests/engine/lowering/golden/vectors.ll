define hidden <2 x i64> @f0(ptr noundef nonnull align 8 dereferenceable(328) %vmctx, i32 noundef %p0, <2 x i64> noundef %p1) #0 align 32 {
entry:
%l2 = alloca <2 x i64>, align 8
br label %body
body:
store <2 x i64> zeroinitializer, ptr %l2, align 8
%v1.A = bitcast <2 x i64> %p1 to <4 x float>
%v1.B = bitcast <2 x i64> <i64 4575657222473777152, i64 4575657222473777152> to <4 x float>
%v1.R = call <4 x float> @llvm.experimental.constrained.fmul.v4f32(<4 x float> %v1.A, <4 x float> %v1.B, metadata !"round.tonearest", metadata !"fpexcept.maytrap")
%v1 = bitcast <4 x float> %v1.R to <2 x i64>
store <2 x i64> %v1, ptr %l2, align 8
%v2 = zext i32 %p0 to i64
%v3 = getelementptr i8, ptr %vmctx, i64 96
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %v4, i64 %v2
%v6 = getelementptr i8, ptr %v5, i64 16
store volatile <2 x i64> %v1, ptr %v6, align 1, !tbaa !5
%v7 = getelementptr i8, ptr %vmctx, i64 112
%v8 = load <2 x i64>, ptr %v7, align 8, !tbaa !7
%v9.A = bitcast <2 x i64> %v8 to <16 x i8>
%v9.B = bitcast <2 x i64> %v1 to <16 x i8>
%v9.R = call <16 x i8> @llvm.aarch64.neon.tbl1.v16i8(<16 x i8> %v9.A, <16 x i8> %v9.B)
%v9 = bitcast <16 x i8> %v9.R to <2 x i64>
%v10 = getelementptr i8, ptr %vmctx, i64 112
store volatile <2 x i64> %v9, ptr %v10, align 8, !tbaa !7
%v11 = getelementptr i8, ptr %vmctx, i64 112
%v12 = load <2 x i64>, ptr %v11, align 8, !tbaa !7
%v13.N = xor <2 x i64> %v12, <i64 -1, i64 -1>
%v13.T = and <2 x i64> %p1, %v12
%v13.F = and <2 x i64> %v1, %v13.N
%v13 = or <2 x i64> %v13.T, %v13.F
ret <2 x i64> %v13
}

define hidden <2 x i64> @f1(ptr noundef nonnull align 8 dereferenceable(328) %vmctx, i32 noundef %p0, <2 x i64> noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1.A = bitcast <2 x i64> %p1 to <8 x i16>
%v1 = extractelement <8 x i16> %v1.A, i64 7
%v2 = zext i32 %p0 to i64
%v3 = getelementptr i8, ptr %vmctx, i64 96
%v4 = load ptr, ptr %v3, align 8, !invariant.load !2, !nonnull !2, !noundef !2, !tbaa !6
%v5 = getelementptr i8, ptr %v4, i64 %v2
%v6 = getelementptr i8, ptr %v5, i64 2
store volatile i16 %v1, ptr %v6, align 1, !tbaa !5
%v7 = load volatile <8 x i8>, ptr %v5, align 1, !tbaa !5
%v8.R = zext <8 x i8> %v7 to <8 x i16>
%v8 = bitcast <8 x i16> %v8.R to <2 x i64>
%v9 = load volatile i64, ptr %v5, align 1, !tbaa !5
%v10 = insertelement <2 x i64> zeroinitializer, i64 %v9, i64 0
%v11.A = bitcast <2 x i64> %v8 to <16 x i8>
%v11.B = bitcast <2 x i64> %v10 to <16 x i8>
%v11.R = shufflevector <16 x i8> %v11.A, <16 x i8> %v11.B, <16 x i32> <i32 0, i32 16, i32 1, i32 17, i32 2, i32 18, i32 3, i32 19, i32 4, i32 20, i32 5, i32 21, i32 6, i32 22, i32 7, i32 23>
%v11 = bitcast <16 x i8> %v11.R to <2 x i64>
%v12 = load volatile i32, ptr %v5, align 1, !tbaa !5
%v13.A = bitcast <2 x i64> %v11 to <4 x i32>
%v13.R = insertelement <4 x i32> %v13.A, i32 %v12, i64 3
%v13 = bitcast <4 x i32> %v13.R to <2 x i64>
ret <2 x i64> %v13
}

define hidden {float, i32} @f2(ptr noundef nonnull align 8 dereferenceable(328) %vmctx, <2 x i64> noundef %p0, float noundef %p1) #0 align 32 {
entry:
br label %body
body:
%v1.A = bitcast <2 x i64> %p0 to <4 x float>
%v1.R = insertelement <4 x float> %v1.A, float %p1, i64 2
%v1 = bitcast <4 x float> %v1.R to <2 x i64>
%v2.A = bitcast <2 x i64> %v1 to <4 x float>
%v2 = extractelement <4 x float> %v2.A, i64 1
%v3.A = bitcast <2 x i64> %p0 to <16 x i8>
%v3.L = extractelement <16 x i8> %v3.A, i64 15
%v3 = sext i8 %v3.L to i32
%v4.A = bitcast <2 x i64> %p0 to <8 x i16>
%v4.N = icmp slt <8 x i16> %v4.A, zeroinitializer
%v4.I = bitcast <8 x i1> %v4.N to i8
%v4 = zext i8 %v4.I to i32
%v5 = add i32 %v3, %v4
%v6 = insertvalue {float, i32} poison, float %v2, 0
%v7 = insertvalue {float, i32} %v6, i32 %v5, 1
ret {float, i32} %v7
}

define hidden <2 x i64> @f3(ptr noundef nonnull align 8 dereferenceable(328) %vmctx, i32 noundef %p0) #0 align 32 {
entry:
br label %body
body:
%v1.L = trunc i32 %p0 to i16
%v1.I = insertelement <8 x i16> poison, i16 %v1.L, i64 0
%v1.R = shufflevector <8 x i16> %v1.I, <8 x i16> poison, <8 x i32> zeroinitializer
%v1 = bitcast <8 x i16> %v1.R to <2 x i64>
%v2.A = bitcast <2 x i64> %v1 to <4 x i32>
%v2.K = and i32 3, 31
%v2.I = insertelement <4 x i32> poison, i32 %v2.K, i64 0
%v2.S = shufflevector <4 x i32> %v2.I, <4 x i32> poison, <4 x i32> zeroinitializer
%v2.R = shl <4 x i32> %v2.A, %v2.S
%v2 = bitcast <4 x i32> %v2.R to <2 x i64>
ret <2 x i64> %v2
}

define hidden <2 x i64> @f4(ptr noundef nonnull align 8 dereferenceable(328) %vmctx, <2 x i64> noundef %p0, <2 x i64> noundef %p1, <2 x i64> noundef %p2) #0 align 32 {
entry:
br label %body
body:
%v1.A = bitcast <2 x i64> %p0 to <2 x double>
%v1.B = bitcast <2 x i64> %p1 to <2 x double>
%v1.C = bitcast <2 x i64> %p2 to <2 x double>
%v1.R = call <2 x double> @llvm.experimental.constrained.fma.v2f64(<2 x double> %v1.A, <2 x double> %v1.B, <2 x double> %v1.C, metadata !"round.tonearest", metadata !"fpexcept.maytrap")
%v1 = bitcast <2 x double> %v1.R to <2 x i64>
%v2.A = bitcast <2 x i64> %v1 to <4 x float>
%v2.B = bitcast <2 x i64> %p0 to <4 x float>
%v2.R = call <4 x float> @llvm.aarch64.neon.fmin.v4f32(<4 x float> %v2.A, <4 x float> %v2.B)
%v2 = bitcast <4 x float> %v2.R to <2 x i64>
ret <2 x i64> %v2
}

