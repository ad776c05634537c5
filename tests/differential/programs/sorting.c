// Sorting by function pointers: indirect calls, recursion, moves of structures.
#include <stdint.h>

typedef struct { int32_t key; double weight; uint16_t tag; } item;
typedef int (*comparison)(const item *, const item *);

static item items[512], scratch[512];

static int by_key(const item *a, const item *b) { return (a->key > b->key) - (a->key < b->key); }
static int by_weight(const item *a, const item *b) { return (a->weight > b->weight) - (a->weight < b->weight); }
static int by_tag(const item *a, const item *b) { return (int)a->tag - (int)b->tag; }
static const comparison comparisons[] = {by_key, by_weight, by_tag};

static void quicksort(item *base, int count, comparison compare) {
    while (count > 1) {
        item pivot = base[count / 2];
        int low = 0, high = count - 1;
        while (low <= high) {
            while (compare(&base[low], &pivot) < 0) low++;
            while (compare(&base[high], &pivot) > 0) high--;
            if (low <= high) { item swapped = base[low]; base[low++] = base[high]; base[high--] = swapped; }
        }
        quicksort(base, high + 1, compare);
        base += low;
        count -= low;
    }
}

static void mergesort(item *base, int count, comparison compare) {
    if (count < 2) return;
    int half = count / 2, left = 0, right = half, out = 0;
    mergesort(base, half, compare);
    mergesort(base + half, count - half, compare);
    while (left < half && right < count)
        scratch[out++] = compare(&base[left], &base[right]) <= 0 ? base[left++] : base[right++];
    while (left < half) scratch[out++] = base[left++];
    while (right < count) scratch[out++] = base[right++];
    for (int i = 0; i < count; i++) base[i] = scratch[i];
}

__attribute__((export_name("run"))) int64_t run(int32_t seed) {
    uint64_t state = (uint32_t)seed;
    int64_t digest = 0;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 512; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            items[i].key = (int32_t)(state >> 32);
            items[i].weight = (double)(int64_t)state / 3.0;
            items[i].tag = (uint16_t)(state >> 16);
        }
        (round % 2 ? quicksort : mergesort)(items, 512, comparisons[round % 3]);
        for (int i = 0; i < 512; i++) digest = digest * 31 + items[i].key + (int64_t)(items[i].weight / 7) + items[i].tag;
    }
    return digest;
}
