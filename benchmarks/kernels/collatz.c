/* Integer arithmetic and branches: the longest Collatz chain that starts below n. */
#include "kernel.h"

KERNEL
{
    int32_t longest = 0, best = 0;
    for (int32_t start = 1; start < n; start++) {
        uint64_t x = (uint64_t)start;
        int32_t length = 1;
        while (x != 1) {
            x = x & 1 ? 3 * x + 1 : x >> 1;
            length++;
        }
        if (length > longest) {
            longest = length;
            best = start;
        }
    }
    return ((int64_t)best << 32) | longest;
}
