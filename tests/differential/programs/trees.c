// Trees in memory that grows: an allocator on memory.grow, pointer chasing, deep recursion, variadic calls.
#include <stdarg.h>
#include <stdint.h>

typedef struct node { struct node *left, *right; int32_t key; int8_t height; } node;
extern unsigned char __heap_base;
static uintptr_t next_free;

static void *allocate(uintptr_t size) {
    if (!next_free) next_free = (uintptr_t)&__heap_base;
    uintptr_t start = (next_free + 15) & ~(uintptr_t)15;
    next_free = start + size;
    while (next_free > (uintptr_t)__builtin_wasm_memory_size(0) << 16)
        if (__builtin_wasm_memory_grow(0, 1) == (uintptr_t)-1) __builtin_trap();
    return __builtin_memset((void *)start, 0, size);
}

static int height(node *tree) { return tree ? tree->height : 0; }
static node *rotated(node *tree, int to_right);

static node *balanced(node *tree) {
    int lean = height(tree->left) - height(tree->right);
    if (lean > 1) {
        if (height(tree->left->left) < height(tree->left->right)) tree->left = rotated(tree->left, 0);
        return rotated(tree, 1);
    }
    if (lean < -1) {
        if (height(tree->right->right) < height(tree->right->left)) tree->right = rotated(tree->right, 1);
        return rotated(tree, 0);
    }
    int l = height(tree->left), r = height(tree->right);
    tree->height = (int8_t)((l > r ? l : r) + 1);
    return tree;
}

static node *rotated(node *tree, int to_right) {
    node *top = to_right ? tree->left : tree->right;
    if (to_right) tree->left = top->right, top->right = balanced(tree);
    else tree->right = top->left, top->left = balanced(tree);
    return balanced(top);
}

static node *inserted(node *tree, int32_t key) {
    if (!tree) {
        tree = allocate(sizeof(node));
        tree->key = key;
        tree->height = 1;
        return tree;
    }
    if (key < tree->key) tree->left = inserted(tree->left, key);
    else if (key > tree->key) tree->right = inserted(tree->right, key);
    return balanced(tree);
}

static int64_t walk(const node *tree, int depth) {
    return tree ? walk(tree->left, depth + 1) * 7 + tree->key * depth + walk(tree->right, depth + 1) : depth;
}

static int64_t weighted(int count, ...) {
    va_list list;
    int64_t sum = 0;
    va_start(list, count);
    for (int i = 1; i <= count; i++) sum += i % 2 ? va_arg(list, int) * i : (int64_t)va_arg(list, double) * i;
    va_end(list);
    return sum;
}

__attribute__((export_name("run"))) int64_t run(int32_t seed) {
    node *tree = 0;
    uint32_t state = (uint32_t)seed;
    for (int i = 0; i < 3000; i++) {
        state = state * 1664525 + 1013904223;
        tree = inserted(tree, (int32_t)(state >> 8));
    }
    int64_t pages = (int64_t)__builtin_wasm_memory_size(0);
    return walk(tree, 0) + weighted(4, seed, 2.5, -3, 1e6) + (pages << 40);
}
