/* Strings: n words made up, put into a hash table by their characters, and counted. */
#include "kernel.h"

enum { BUCKETS = 1 << 14, TEXT = 1 << 18 };
static char text[TEXT];
static uint32_t starts[BUCKETS], lengths[BUCKETS];
static int32_t counts[BUCKETS];

static int same(const char *a, const char *b, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

KERNEL
{
    uint32_t state = 11, end = 0, distinct = 0;
    for (uint32_t i = 0; i < BUCKETS; i++)
        counts[i] = 0;
    for (int32_t word = 0; word < n; word++) {
        uint32_t random = next_random(&state) % 9000, length = 0, hash = 2166136261u;
        char *at = text + end; /* written at the end of the text, and kept there only if it is new */
        for (uint32_t rest = random * 7919 % 1000003; rest; rest /= 26)
            at[length++] = (char)('a' + rest % 26);
        for (uint32_t i = 0; i < length; i++)
            hash = (hash ^ (uint8_t)at[i]) * 16777619u;
        uint32_t bucket = hash % BUCKETS;
        while (counts[bucket] && !(lengths[bucket] == length && same(text + starts[bucket], at, length)))
            bucket = (bucket + 1) % BUCKETS;
        if (!counts[bucket]++) {
            starts[bucket] = end;
            lengths[bucket] = length;
            end += length;
            distinct++;
        }
    }
    uint64_t sum = distinct;
    for (uint32_t i = 0; i < BUCKETS; i++)
        sum = sum * 31 + (uint32_t)counts[i];
    return (int64_t)sum;
}
