/*
 * Vectors of 128 bits in C that clang compiles to WebAssembly's vector instructions, and gcc to the machine's: the
 * compilers' own vector types, and the few operations that these have no operator for.
 */
#include "kernel.h"

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

#define LOAD(type, from) ({ type loaded_; __builtin_memcpy(&loaded_, (from), 16); loaded_; })
#define STORE(to, value) do { __typeof__(value) stored_ = (value); __builtin_memcpy((to), &stored_, 16); } while (0)

/* Whether any bit is set. */
static inline int any(u8x16 vector)
{
#ifdef __wasm__
    return __builtin_wasm_any_true_v128((i8x16)vector);
#else
    u64x2 halves = (u64x2)vector;
    return (halves[0] | halves[1]) != 0;
#endif
}

/* The top bits of all bytes. */
static inline int top_bits(u8x16 vector)
{
#ifdef __wasm__
    return __builtin_wasm_bitmask_i8x16((i8x16)vector);
#elif defined(__SSE2__)
    return __builtin_ia32_pmovmskb128((__attribute__((vector_size(16))) char)vector);
#else
    int bits = 0;
    for (int i = 0; i < 16; i++)
        bits |= (vector[i] >> 7) << i;
    return bits;
#endif
}

/* For each index, all of them below 16, the byte of the table there. */
static inline u8x16 look_up(u8x16 table, u8x16 indices)
{
#ifdef __wasm__
    return (u8x16)__builtin_wasm_swizzle_i8x16((i8x16)table, (i8x16)indices);
#else
    return __builtin_shuffle(table, indices);
#endif
}

/* Differences that stop at 0. */
static inline u8x16 subtract_saturating(u8x16 a, u8x16 b)
{
    return (a - b) & (u8x16)(a > b);
}
