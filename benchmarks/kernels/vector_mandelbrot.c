/* Floats in vectors: iterations over the Mandelbrot set on a grid of n by n points, two at a time. */
#include "vectors.h"

KERNEL
{
    int64_t total = 0;
    for (int32_t row = 0; row < n; row++)
        for (int32_t column = 0; column + 1 < n; column += 2) {
            f64x2 cr = {3.0 * column / n - 2.0, 3.0 * (column + 1) / n - 2.0};
            double imaginary = 2.0 * row / n - 1.0;
            f64x2 ci = {imaginary, imaginary}, zr = {0, 0}, zi = {0, 0};
            u64x2 inside = {~0ull, ~0ull}, counts = {0, 0};
            for (int32_t i = 0; i < 200; i++) {
                f64x2 r2 = zr * zr, i2 = zi * zi;
                inside &= (u64x2)(r2 + i2 <= (f64x2){4.0, 4.0});
                if (!any((u8x16)inside))
                    break;
                counts -= inside;
                f64x2 product = zr * zi;
                zi = product + product + ci;
                zr = r2 - i2 + cr;
            }
            total += (int64_t)(counts[0] + counts[1]);
        }
    return total;
}
