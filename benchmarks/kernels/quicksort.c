/* Comparisons and swaps: n random numbers sorted by quicksort. */
#include "kernel.h"

enum { CAPACITY = 1 << 21 };
static uint32_t numbers[CAPACITY];

__attribute__((noinline)) static void sort(int32_t low, int32_t high)
{
    while (high - low > 16) {
        uint32_t pivot = numbers[low + (high - low) / 2];
        int32_t i = low, j = high;
        while (i <= j) {
            while (numbers[i] < pivot)
                i++;
            while (numbers[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t swapped = numbers[i];
                numbers[i++] = numbers[j];
                numbers[j--] = swapped;
            }
        }
        sort(low, j);
        low = i;
    }
    for (int32_t i = low + 1; i <= high; i++) {
        uint32_t moved = numbers[i];
        int32_t j = i - 1;
        for (; j >= low && numbers[j] > moved; j--)
            numbers[j + 1] = numbers[j];
        numbers[j + 1] = moved;
    }
}

KERNEL
{
    uint32_t state = 42;
    if (n > CAPACITY)
        n = CAPACITY;
    for (int32_t i = 0; i < n; i++)
        numbers[i] = next_random(&state);
    sort(0, n - 1);
    uint64_t hash = 0;
    for (int32_t i = 0; i < n; i++)
        hash = hash * 31 + numbers[i];
    return (int64_t)hash;
}
