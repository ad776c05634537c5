/* Bytes written with a stride: how many primes lie below 2,000,000, counted n times. */
#include "kernel.h"

enum { LIMIT = 2000000 };
static uint8_t composite[LIMIT];

KERNEL
{
    int64_t total = 0;
    for (int32_t round = 0; round < n; round++) {
        for (int32_t i = 0; i < LIMIT; i++)
            composite[i] = 0;
        for (int32_t i = 2; i < LIMIT; i++) {
            if (composite[i])
                continue;
            total++;
            for (int64_t j = (int64_t)i * i; j < LIMIT; j += i)
                composite[j] = 1;
        }
    }
    return total;
}
