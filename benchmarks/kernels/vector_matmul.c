/* Multiplication by splatted floats: matrices of 128 by 128 are multiplied n times. */
#include "vectors.h"

enum { SIZE = 128 };
static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void multiply(void)
{
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column += 16) {
            f32x4 sums[4] = {{0}, {0}, {0}, {0}};
            for (int i = 0; i < SIZE; i++) {
                f32x4 factor = (f32x4){0, 0, 0, 0} + a[row][i];
                for (int k = 0; k < 4; k++)
                    sums[k] += factor * LOAD(f32x4, &b[i][column + 4 * k]);
            }
            for (int k = 0; k < 4; k++)
                STORE(&c[row][column + 4 * k], sums[k]);
        }
}

KERNEL
{
    uint32_t state = 5;
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++) {
            a[i][k] = (float)next_random(&state) / 4294967296.0f;
            b[i][k] = (float)next_random(&state) / 4294967296.0f - 0.5f;
        }
    for (int32_t i = 0; i < n; i++) {
        multiply();
        a[i % SIZE][(i * 7) % SIZE] += c[i % SIZE][i % SIZE];
    }
    double total = 0;
    for (int i = 0; i < SIZE; i++)
        total += c[i][SIZE - 1 - i];
    return bits_of(total);
}
