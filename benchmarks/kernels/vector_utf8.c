/* Bytes in vectors: n times, 64 KiB of text are validated as UTF-8, by tables of what may follow what. */
#include "vectors.h"

enum { LENGTH = 1 << 16 };
static uint8_t text[LENGTH + 16];

/*
 * What can be wrong with a pair of bytes, a bit each. Three tables say what the halves of the bytes allow: the high and
 * the low half of the first one, and the high half of the second. What all three allow is wrong. The low half of most
 * bytes allows whatever depends on the high halves only (ANY).
 */
enum {
    UNFINISHED = 1,    /* a leading byte, and no continuation after it */
    STRAY = 2,         /* a continuation after a byte of ASCII */
    LONG_OF_3 = 4,     /* E0 and what would have fitted into two bytes */
    BEYOND = 8,        /* F4 or more, and more than the last code point */
    SURROGATE = 16,    /* ED and a surrogate */
    LONG_OF_2 = 32,    /* C0 or C1 */
    LONG_OF_4 = 64,    /* F0 and what would have fitted into three bytes; also F5 or more, before 80 to 8F */
    CONTINUED = 128,   /* two continuations: wrong unless a leading byte two or three places before wants them */
    ANY = UNFINISHED | STRAY | CONTINUED,
    FAR = ANY | BEYOND | LONG_OF_4,
};

static const u8x16 first_high = {
    STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY,
    CONTINUED, CONTINUED, CONTINUED, CONTINUED,
    UNFINISHED | LONG_OF_2, UNFINISHED, UNFINISHED | LONG_OF_3 | SURROGATE,
    UNFINISHED | BEYOND | LONG_OF_4,
};
static const u8x16 first_low = {
    ANY | LONG_OF_2 | LONG_OF_3 | LONG_OF_4, ANY | LONG_OF_2, ANY, ANY,
    ANY | BEYOND, FAR, FAR, FAR, FAR, FAR, FAR, FAR, FAR, FAR | SURROGATE, FAR, FAR,
};
static const u8x16 second_high = {
    UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED,
    STRAY | CONTINUED | LONG_OF_2 | LONG_OF_3 | LONG_OF_4,
    STRAY | CONTINUED | LONG_OF_2 | LONG_OF_3 | BEYOND,
    STRAY | CONTINUED | LONG_OF_2 | SURROGATE | BEYOND,
    STRAY | CONTINUED | LONG_OF_2 | SURROGATE | BEYOND,
    UNFINISHED, UNFINISHED, UNFINISHED, UNFINISHED,
};

/* The bytes that lie so many places before. */
#define BEFORE_1(now, last) __builtin_shufflevector(last, now, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
#define BEFORE_2(now, last) __builtin_shufflevector(last, now, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29)
#define BEFORE_3(now, last) __builtin_shufflevector(last, now, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)

static int is_valid(const uint8_t *bytes, int length)
{
    u8x16 error = {0}, last = {0};
    for (int i = 0; i < length; i += 16) {
        u8x16 now = LOAD(u8x16, bytes + i);
        if (!top_bits(now | last)) {
            last = now;
            continue;
        }
        u8x16 before = BEFORE_1(now, last);
        u8x16 special = look_up(first_high, before >> 4) & look_up(first_low, before & 15)
            & look_up(second_high, now >> 4);
        u8x16 third = subtract_saturating(BEFORE_2(now, last), (u8x16){0} + 0x60);
        u8x16 fourth = subtract_saturating(BEFORE_3(now, last), (u8x16){0} + 0x70);
        error |= ((third | fourth) & 0x80) ^ special;
        last = now;
    }
    return !any(error);
}

static int put(uint8_t *to, uint32_t code)
{
    if (code < 0x80)
        return *to = (uint8_t)code, 1;
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    to[0] = (uint8_t)(lead[more] | code >> 6 * more);
    for (int i = 1; i <= more; i++)
        to[i] = (uint8_t)(0x80 | (code >> 6 * (more - i) & 0x3F));
    return more + 1;
}

KERNEL
{
    static const uint32_t limits[] = {0x80, 0x800, 0xD800, 0x110000};
    uint32_t state = 3;
    int at = 0;
    while (at < LENGTH - 4) {
        uint32_t code = next_random(&state) % limits[next_random(&state) & 3];
        at += put(text + at, code >= 0xD800 && code < 0xE000 ? 'x' : code);
    }
    int64_t valid = 0;
    for (int32_t i = 0; i < n; i++) {
        uint32_t where = next_random(&state) % LENGTH;
        uint8_t kept = text[where];
        if (i & 1)
            text[where] ^= (uint8_t)(next_random(&state) & 0x80);
        valid += is_valid(text, LENGTH) ? 1 : 1 << 16;
        text[where] = kept;
    }
    return valid;
}
