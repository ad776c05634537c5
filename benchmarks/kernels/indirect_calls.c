/* Calls through a table: n random ones of sixteen small functions. */
#include "kernel.h"

typedef uint32_t operation(uint32_t, uint32_t);

#define OPERATION(name, expression) \
    __attribute__((noinline)) static uint32_t name(uint32_t a, uint32_t b) { return expression; }
OPERATION(add, a + b)
OPERATION(subtract, a - b)
OPERATION(multiply, a * (b | 1))
OPERATION(and, (a & b) + 1)
OPERATION(or, a | b)
OPERATION(xor, a ^ b)
OPERATION(left, a << (b & 7))
OPERATION(right, a >> (b & 7))
OPERATION(negate, b - a)
OPERATION(invert, ~a + b)
OPERATION(rotate, (a << 5 | a >> 27) + b)
OPERATION(average, (a >> 1) + (b >> 1))
OPERATION(larger, a > b ? a : b)
OPERATION(smaller, a < b ? a : b)
OPERATION(square, a * a + b)
OPERATION(mix, (a ^ a >> 15) * 0x2C1B3C6Du + b)

static operation *const table[16] = {add,    subtract, multiply, and,     or,     xor,     left,   right,
                                     negate, invert,   rotate,   average, larger, smaller, square, mix};

KERNEL
{
    uint32_t state = 1, value = 1;
    for (int32_t i = 0; i < n; i++) {
        uint32_t random = next_random(&state);
        value = table[random >> 28](value, random);
    }
    return value;
}
