/* Deep recursion with several arguments: Takeuchi's function, n times. */
#include "kernel.h"

__attribute__((noinline)) static int32_t tak(int32_t x, int32_t y, int32_t z)
{
    return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

KERNEL
{
    int64_t sum = 0;
    for (int32_t round = 0; round < n; round++)
        sum += tak(18 + (round & 1), 12, 6);
    return sum;
}
