/* Allocation and recursion: n binary trees of depth 14, built, counted, and released to a free list. */
#include "kernel.h"

enum { CAPACITY = 1 << 15 };
typedef struct tree { struct tree *left, *right; } tree;
static tree pool[CAPACITY];
static tree *unused;

static tree *take(void)
{
    tree *taken = unused;
    unused = taken->left;
    return taken;
}

__attribute__((noinline)) static tree *build(int32_t depth)
{
    tree *root = take();
    root->left = depth ? build(depth - 1) : NULL;
    root->right = depth ? build(depth - 1) : NULL;
    return root;
}

__attribute__((noinline)) static int32_t count(const tree *root)
{
    return root->left ? 1 + count(root->left) + count(root->right) : 1;
}

__attribute__((noinline)) static void release(tree *root)
{
    if (root->left) {
        release(root->left);
        release(root->right);
    }
    root->left = unused;
    unused = root;
}

KERNEL
{
    unused = NULL;
    for (int32_t i = 0; i < CAPACITY; i++) {
        pool[i].left = unused;
        unused = &pool[i];
    }
    int64_t total = 0;
    for (int32_t round = 0; round < n; round++) {
        tree *root = build(14 - (round & 1));
        total += count(root);
        release(root);
    }
    return total;
}
