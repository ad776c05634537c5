/* Floating point without memory: iterations over the Mandelbrot set on a grid of n by n points. */
#include "kernel.h"

KERNEL
{
    int64_t total = 0;
    for (int32_t row = 0; row < n; row++)
        for (int32_t column = 0; column < n; column++) {
            double cr = 3.0 * column / n - 2.0, ci = 2.0 * row / n - 1.0;
            double zr = 0, zi = 0;
            int32_t i = 0;
            for (; i < 200; i++) {
                double r2 = zr * zr, i2 = zi * zi;
                if (r2 + i2 > 4.0)
                    break;
                zi = 2 * zr * zi + ci;
                zr = r2 - i2 + cr;
            }
            total += i;
        }
    return total;
}
