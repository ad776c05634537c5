/*
 * What all kernels share. Each is one file with one function, run(n): n says how much to do, and the result depends on
 * all of the work, so that no compiler can leave any out. The same source becomes WebAssembly and a native library.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define KERNEL __attribute__((export_name("run"))) int64_t run(int32_t n)
#else
#define KERNEL __attribute__((visibility("default"))) int64_t run(int32_t n)
#endif

/* Pseudo-random numbers (xorshift, 32 bits), the same for every compiler. */
static inline uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* The bits of a float as an integer: results must agree to the last one. */
static inline int64_t bits_of(double value)
{
    union { double f; int64_t i; } bits = {.f = value};
    return bits.i;
}
