/* Loads that wait for each other: n steps along a ring of 65,536 nodes in random order. */
#include "kernel.h"

enum { NODES = 65536 };
typedef struct node { struct node *next; uint32_t value; } node;
static node nodes[NODES];
static uint32_t order[NODES];

KERNEL
{
    uint32_t state = 7;
    for (uint32_t i = 0; i < NODES; i++)
        order[i] = i;
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t j = next_random(&state) % (i + 1), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i;
    }
    int64_t sum = 0;
    node *at = nodes;
    for (int32_t i = 0; i < n; i++) {
        sum += at->value;
        at = at->next;
    }
    return sum;
}
