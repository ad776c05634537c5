/* Recursion with bit masks: all placements of n queens. */
#include "kernel.h"

__attribute__((noinline)) static int64_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all)
        return 1;
    int64_t found = 0;
    for (uint32_t open = all & ~(columns | left | right); open; open &= open - 1) {
        uint32_t queen = open & -open;
        found += place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return found;
}

KERNEL
{
    return place((1u << n) - 1, 0, 0, 0);
}
