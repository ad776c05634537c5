/* A switch in a loop: a small stack machine runs a program for n steps. */
#include "kernel.h"

enum { PUSH, ADD, MULTIPLY, XOR, SHIFT, DUPLICATE, SWAP, DROP, STORE, LOAD, DECREMENT, JUMP_IF };
static uint32_t variables[8], stack[64];
static const uint8_t program[][2] = {
    {PUSH, 200},   {STORE, 0},    {PUSH, 17},     {STORE, 1},    {LOAD, 1},      {PUSH, 33},    {MULTIPLY, 0},
    {LOAD, 0},     {XOR, 0},      {DUPLICATE, 0}, {SHIFT, 13},   {ADD, 0},       {STORE, 1},    {LOAD, 0},
    {DUPLICATE, 0}, {SWAP, 0},    {DROP, 0},      {DECREMENT, 0}, {STORE, 0},    {LOAD, 0},     {JUMP_IF, 4},
    {PUSH, 1},     {JUMP_IF, 0}};

KERNEL
{
    uint32_t at = 0, top = 0;
    for (int32_t step = 0; step < n; step++) {
        uint32_t code = program[at][0], operand = program[at][1];
        at++;
        switch (code) {
        case PUSH: stack[top++] = operand; break;
        case ADD: top--; stack[top - 1] += stack[top]; break;
        case MULTIPLY: top--; stack[top - 1] *= stack[top]; break;
        case XOR: top--; stack[top - 1] ^= stack[top]; break;
        case SHIFT: stack[top - 1] >>= operand; break;
        case DUPLICATE: stack[top] = stack[top - 1]; top++; break;
        case SWAP: { uint32_t upper = stack[top - 1]; stack[top - 1] = stack[top - 2]; stack[top - 2] = upper; break; }
        case DROP: top--; break;
        case STORE: variables[operand] = stack[--top]; break;
        case LOAD: stack[top++] = variables[operand]; break;
        case DECREMENT: stack[top - 1]--; break;
        case JUMP_IF: if (stack[--top]) at = operand; break;
        }
    }
    return (int64_t)((uint64_t)variables[1] << 32 | at);
}
