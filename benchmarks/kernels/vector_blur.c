/* Widening and narrowing of bytes: an image of 512 by 512 bytes is blurred n times, by weights 1 2 1 both ways. */
#include "vectors.h"

enum { SIZE = 512, STRIDE = SIZE + 32, ROWS = SIZE + 2 };
static uint8_t images[2][ROWS * STRIDE];

#define WIDE(vector, first) \
    __builtin_convertvector(__builtin_shufflevector(vector, vector, first, first + 1, first + 2, first + 3, first + 4, \
                                                    first + 5, first + 6, first + 7), u16x8)

/* 1 2 1 times the neighbours, a step apart, of eight bytes of each. */
#define WEIGH(before, middle, after, first) (WIDE(before, first) + WIDE(middle, first) * 2 + WIDE(after, first))

static u8x16 rounded(u16x8 low, u16x8 high)
{
    low = (low + 8) >> 4;
    high = (high + 8) >> 4;
    typedef uint8_t u8x8 __attribute__((vector_size(8)));
    u8x8 first = __builtin_convertvector(low, u8x8), second = __builtin_convertvector(high, u8x8);
    return __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static void blur(const uint8_t *from, uint8_t *to)
{
    for (int row = 1; row <= SIZE; row++)
        for (int column = 16; column < 16 + SIZE; column += 16) {
            u16x8 low = {0}, high = {0};
            for (int step = -1; step <= 1; step++) {
                const uint8_t *at = from + (row + step) * STRIDE + column;
                u8x16 before = LOAD(u8x16, at - 1), middle = LOAD(u8x16, at), after = LOAD(u8x16, at + 1);
                int weight = step == 0;
                low += WEIGH(before, middle, after, 0) << weight;
                high += WEIGH(before, middle, after, 8) << weight;
            }
            STORE(to + row * STRIDE + column, rounded(low, high));
        }
}

KERNEL
{
    uint32_t state = 7;
    for (int i = 0; i < ROWS * STRIDE; i++)
        images[0][i] = (uint8_t)(next_random(&state) >> 8);
    for (int32_t i = 0; i < n; i++)
        blur(images[i & 1], images[~i & 1]);
    int64_t total = 0;
    for (int i = 0; i < ROWS * STRIDE; i++)
        total = total * 31 + images[n & 1][i];
    return total;
}
