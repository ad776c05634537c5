/* Integers in vectors: BLAKE2s of n blocks of 64 bytes, its four columns side by side. */
#include "vectors.h"

static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

#define ROTATE(v, count) (((v) >> (count)) | ((v) << (32 - (count))))
#define TURN(v, a, b, c, d) __builtin_shufflevector(v, v, a, b, c, d)
#define QUARTER(x, y) \
    a += b + (x); d = ROTATE(d ^ a, 16); c += d; b = ROTATE(b ^ c, 12); \
    a += b + (y); d = ROTATE(d ^ a, 8); c += d; b = ROTATE(b ^ c, 7);

static void compress(u32x4 state[2], const uint32_t message[16], uint64_t bytes)
{
    u32x4 a = state[0], b = state[1];
    u32x4 c = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A};
    u32x4 d = {0x510E527F ^ (uint32_t)bytes, 0x9B05688C ^ (uint32_t)(bytes >> 32), 0x1F83D9AB, 0x5BE0CD19};
    for (int round = 0; round < 10; round++) {
        const uint8_t *s = order[round];
        const uint32_t *m = message;
        QUARTER(((u32x4){m[s[0]], m[s[2]], m[s[4]], m[s[6]]}), ((u32x4){m[s[1]], m[s[3]], m[s[5]], m[s[7]]}))
        b = TURN(b, 1, 2, 3, 0);
        c = TURN(c, 2, 3, 0, 1);
        d = TURN(d, 3, 0, 1, 2);
        QUARTER(((u32x4){m[s[8]], m[s[10]], m[s[12]], m[s[14]]}), ((u32x4){m[s[9]], m[s[11]], m[s[13]], m[s[15]]}))
        b = TURN(b, 3, 0, 1, 2);
        c = TURN(c, 2, 3, 0, 1);
        d = TURN(d, 1, 2, 3, 0);
    }
    state[0] ^= a ^ c;
    state[1] ^= b ^ d;
}

KERNEL
{
    u32x4 state[2] = {{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A}, {0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19}};
    uint32_t message[16], seed = 99;
    for (int i = 0; i < 16; i++)
        message[i] = next_random(&seed);
    for (int32_t i = 0; i < n; i++) {
        message[i & 15] += (uint32_t)i;
        compress(state, message, 64u * (uint64_t)(i + 1));
    }
    return (int64_t)((uint64_t)state[0][0] << 32 | state[1][3]);
}
