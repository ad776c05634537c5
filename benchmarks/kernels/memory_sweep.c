/* Memory-bound: eight bytes at a time through 32 MiB, more than a core's caches hold, n times. */
#include "kernel.h"

enum { WORDS = 4 * 1024 * 1024 };
static uint64_t words[WORDS];

KERNEL
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < WORDS; i++)
        words[i] = (uint64_t)i;
    for (int32_t round = 0; round < n; round++) {
        uint64_t carry = (uint64_t)round;
        for (int32_t i = 0; i < WORDS; i++) {
            carry = (carry >> 1) ^ words[i];
            words[i] = carry;
        }
        sum += carry;
    }
    return (int64_t)sum;
}
