/*
 * A small image library. It owns the memory, and gives it to others together with its functions.
 *
 * Memory (fixed when the two modules are linked; `make examples` says so to the linker, see tools/compile_c.py):
 *
 *           0 ..  64 KiB   the library's stack; it comes first, so that running out of it traps
 *      64 KiB .. 512 KiB   room for the application's data and stack: the library never touches it
 *     512 KiB ..           the library's data, then the heap that allocate() hands out
 */
#include "wasm.h"

/* ---- allocation: blocks in a list by address, first fit, neighbours merged ---- */

typedef struct block {
    uint32_t size; /* of what follows this header, a multiple of 16 */
    uint32_t used;
    struct block *next; /* the block behind this one, in memory too */
    uint32_t padding;   /* makes the header 16 bytes, so that what follows is aligned to 16 */
} block;

extern unsigned char __heap_base;
static block *first_block;
static uint32_t bytes_in_use;

/* Puts a block at the end of the memory, which grows where it must. */
static block *append_block(uint32_t size)
{
    static uint32_t end;
    if (end == 0)
        end = ((uint32_t)&__heap_base + 15) & ~15u;
    uint64_t wanted = (uint64_t)end + sizeof(block) + size;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (wanted > have) {
        uint32_t pages = (uint32_t)((wanted - have + PAGE - 1) / PAGE);
        if (wanted > 0xFFFF0000u || __builtin_wasm_memory_grow(0, pages) == (size_t)-1)
            return 0;
    }
    block *fresh = (block *)end;
    *fresh = (block){.size = size};
    end += sizeof(block) + size;
    return fresh;
}

EXPORT("allocate") void *allocate(uint32_t size)
{
    if (size > 0xFFFFFFF0u)
        return 0;
    size = size ? (size + 15) & ~15u : 16;
    block **link = &first_block;
    while (*link && ((*link)->used || (*link)->size < size))
        link = &(*link)->next;
    if (!*link && !(*link = append_block(size)))
        return 0;
    block *found = *link;
    if (found->size >= size + sizeof(block) + 16) { /* the rest is worth a block of its own */
        block *rest = (block *)((unsigned char *)(found + 1) + size);
        *rest = (block){.size = found->size - size - sizeof(block), .next = found->next};
        found->size = size;
        found->next = rest;
    }
    found->used = 1;
    bytes_in_use += found->size;
    return found + 1;
}

EXPORT("release") void release(void *address)
{
    block *released = (block *)address - 1;
    if (!address || !released->used)
        __builtin_trap();
    released->used = 0;
    bytes_in_use -= released->size;
    for (block *each = first_block; each; each = each->next)
        while (!each->used && each->next && !each->next->used) {
            each->size += sizeof(block) + each->next->size;
            each->next = each->next->next;
        }
}

EXPORT("allocated_bytes") uint32_t allocated_bytes(void)
{
    return bytes_in_use;
}

/* ---- numbers ---- */

EXPORT("greatest_common_divisor") int32_t greatest_common_divisor(int32_t a, int32_t b)
{
    while (b) {
        int32_t remainder = a % b;
        a = b;
        b = remainder;
    }
    return a < 0 ? -a : a;
}

/* base to the power of exponent modulo modulus, which is below 2 to the 32 */
EXPORT("power_modulo") int64_t power_modulo(int64_t base, int64_t exponent, int64_t modulus)
{
    uint64_t result = 1 % (uint64_t)modulus, factor = (uint64_t)base % (uint64_t)modulus;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = result * factor % (uint64_t)modulus;
        factor = factor * factor % (uint64_t)modulus;
    }
    return (int64_t)result;
}

EXPORT("mean") double mean(const double *values, int32_t count)
{
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

EXPORT("standard_deviation") double standard_deviation(const double *values, int32_t count)
{
    double middle = mean(values, count), sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (values[i] - middle) * (values[i] - middle);
    return __builtin_sqrt(sum / count);
}

EXPORT("luminance") float luminance(float red, float green, float blue)
{
    return 0.2126f * red + 0.7152f * green + 0.0722f * blue;
}

/* ---- bytes and images (grey, a byte a pixel, row after row) ---- */

/* FNV-1a, 64 bits */
EXPORT("checksum") int64_t checksum(const uint8_t *bytes, int32_t count)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (int32_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return (int64_t)hash;
}

EXPORT("histogram") void histogram(const uint8_t *pixels, int32_t count, int32_t bins[256])
{
    for (int32_t i = 0; i < 256; i++)
        bins[i] = 0;
    for (int32_t i = 0; i < count; i++)
        bins[pixels[i]]++;
}

/* Each pixel becomes the mean of the up to nine around it. */
EXPORT("blur") void blur(const uint8_t *from, uint8_t *to, int32_t width, int32_t height)
{
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            int32_t sum = 0, count = 0;
            for (int32_t v = y ? y - 1 : 0; v <= y + 1 && v < height; v++)
                for (int32_t u = x ? x - 1 : 0; u <= x + 1 && u < width; u++) {
                    sum += from[v * width + u];
                    count++;
                }
            to[y * width + x] = (uint8_t)(sum / count);
        }
}

/* The address of a pixel; a pixel that is not in the image is a trap. */
EXPORT("pixel_address") const uint8_t *pixel_address(const uint8_t *pixels, int32_t width, int32_t height, int32_t x, int32_t y)
{
    if (x < 0 || x >= width || y < 0 || y >= height)
        __builtin_trap();
    return pixels + y * width + x;
}
