/*
 * An application on top of library.c: it imports the library's functions, and the memory in which both keep their data.
 *
 * Its data and stack lie from 64 KiB to 512 KiB at most, the room that the library leaves (see there); the linker is
 * told where to start (--global-base), and the exported __heap_base tells where they end: examples/demo.py checks it.
 */
#include "wasm.h"

IMPORT("library", "allocate") void *allocate(uint32_t size);
IMPORT("library", "release") void release(void *address);
IMPORT("library", "histogram") void histogram(const uint8_t *pixels, int32_t count, int32_t bins[256]);
IMPORT("library", "blur") void blur(const uint8_t *from, uint8_t *to, int32_t width, int32_t height);
IMPORT("library", "checksum") int64_t checksum(const uint8_t *bytes, int32_t count);
IMPORT("library", "luminance") float luminance(float red, float green, float blue);
IMPORT("library", "pixel_address")
const uint8_t *pixel_address(const uint8_t *pixels, int32_t width, int32_t height, int32_t x, int32_t y);

/* ---- filters, called through the table ---- */

typedef uint8_t filter(uint8_t);

static uint8_t negate(uint8_t pixel) { return 255 - pixel; }
static uint8_t brighten(uint8_t pixel) { return pixel > 215 ? 255 : pixel + 40; }
static uint8_t threshold(uint8_t pixel) { return pixel < 128 ? 0 : 255; }

static filter *const filters[] = {negate, brighten, threshold};

/* Filters an image in place: 0 negates, 1 brightens, 2 makes it black and white; gives the number of filters. */
EXPORT("apply_filter") int32_t apply_filter(int32_t number, uint8_t *pixels, int32_t count)
{
    int32_t known = sizeof filters / sizeof *filters;
    if (number >= 0 && number < known)
        for (int32_t i = 0; i < count; i++)
            pixels[i] = filters[number](pixels[i]);
    return known;
}

/* ---- what needs the library ---- */

/* The checksum of the blurred image, which is made in a buffer that the library allocates. */
EXPORT("fingerprint") int64_t fingerprint(const uint8_t *pixels, int32_t width, int32_t height)
{
    uint8_t *blurred = allocate((uint32_t)(width * height));
    blur(pixels, blurred, width, height);
    int64_t result = checksum(blurred, width * height);
    release(blurred);
    return result;
}

/* The mean brightness, from 0 to 1, by way of the histogram, which the library writes to this module's stack. */
EXPORT("brightness") double brightness(const uint8_t *pixels, int32_t count)
{
    int32_t bins[256];
    histogram(pixels, count, bins);
    double sum = 0;
    for (int32_t i = 0; i < 256; i++)
        sum += (double)i * bins[i];
    return sum / count / 255;
}

/* From three bytes a pixel (red, green, blue) to one. */
EXPORT("to_grey") void to_grey(const uint8_t *colours, uint8_t *grey, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        grey[i] = (uint8_t)luminance(colours[3 * i], colours[3 * i + 1], colours[3 * i + 2]);
}

/* ---- text: the shade of each pixel as a character ---- */

static const char shades[] = " .:-=+*#%@";

/* Writes width characters for a row of the image: dark is blank, light is '@'. */
EXPORT("row_as_text") void row_as_text(const uint8_t *pixels, char *text, int32_t width)
{
    for (int32_t x = 0; x < width; x++)
        text[x] = shades[pixels[x] * (sizeof shades - 1) / 256];
}

/* ---- traps, several calls deep ---- */

__attribute__((noinline)) static int32_t sum_of_row(const uint8_t *pixels, int32_t width, int32_t height, int32_t y)
{
    int32_t sum = 0;
    for (int32_t x = 0; x < width; x++)
        sum += *pixel_address(pixels, width, height, x, y);
    return sum;
}

/* The sum of the pixels of the rows from first to last; a row that is not there is a trap in the library. */
EXPORT("sum_of_rows") int64_t sum_of_rows(const uint8_t *pixels, int32_t width, int32_t height, int32_t first, int32_t last)
{
    int64_t sum = 0;
    for (int32_t y = first; y <= last; y++)
        sum += sum_of_row(pixels, width, height, y);
    return sum;
}

/* The mean of whole numbers, rounded towards zero: of no numbers at all it is a trap, integer divide by zero. */
EXPORT("integer_mean") int32_t integer_mean(const int32_t *values, int32_t count)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}
