/* Floating point with memory: the product of two n by n matrices. */
#include "kernel.h"

enum { LARGEST = 512 };
static double a[LARGEST * LARGEST], b[LARGEST * LARGEST], c[LARGEST * LARGEST];

KERNEL
{
    uint32_t state = 99;
    if (n > LARGEST)
        n = LARGEST;
    for (int32_t i = 0; i < n * n; i++) {
        a[i] = next_random(&state) / 4294967296.0;
        b[i] = next_random(&state) / 4294967296.0;
    }
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            double sum = 0;
            for (int32_t k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
    double total = 0;
    for (int32_t i = 0; i < n * n; i++)
        total += c[i] * (i % n + 2 * (i / n));
    return bits_of(total);
}
