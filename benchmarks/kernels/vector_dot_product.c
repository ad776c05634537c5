/* Multiplication and addition of floats from memory: dot products of vectors that the cache holds, n times. */
#include "vectors.h"

enum { LENGTH = 2048 };
static float left[LENGTH], right[LENGTH];

static float dot_product(const float *a, const float *b, int length)
{
    f32x4 sums[4] = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < length; i += 16)
        for (int k = 0; k < 4; k++)
            sums[k] += LOAD(f32x4, a + i + 4 * k) * LOAD(f32x4, b + i + 4 * k);
    f32x4 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

KERNEL
{
    uint32_t state = 1;
    for (int i = 0; i < LENGTH; i++) {
        left[i] = (float)next_random(&state) / 4294967296.0f;
        right[i] = (float)next_random(&state) / 4294967296.0f - 0.5f;
    }
    double total = 0;
    for (int32_t i = 0; i < n; i++) {
        left[i % LENGTH] += 0.25f;
        total += dot_product(left, right, LENGTH);
    }
    return bits_of(total);
}
