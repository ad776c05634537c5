// A stack machine's interpreter: a dense switch in a loop, and strings made of numbers.
#include <stdint.h>

enum { PUSH, ADD, SUB, MUL, DUP, SWAP, JUMP_NONZERO, PRINT, OVER, DIV, LOAD, STORE, HALT };

static char output[4096];
static int length;
static int64_t stack[64], cells[16];

static void print(int64_t number, unsigned base) {
    char digits[65];
    int count = 0;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % base];
        rest /= base;
    } while (rest);
    if (number < 0) digits[count++] = '-';
    while (count && length < 4095) output[length++] = digits[--count];
    output[length++ % 4096] = ' ';
    if (length > 4000) length = 0;
}

static int64_t execute(const int8_t *code) {
    int64_t *top = stack;
    int64_t steps = 0;
    for (const int8_t *at = code;; steps++) {
        switch (*at++) {
        case PUSH: *++top = *at++; break;
        case ADD: top--; *top += top[1]; break;
        case SUB: top--; *top -= top[1]; break;
        case MUL: top--; *top = (int64_t)((uint64_t)*top * (uint64_t)top[1]); break;
        case DIV: top--; *top /= top[1] | 1; break;
        case DUP: top[1] = *top; top++; break;
        case OVER: top[1] = top[-1]; top++; break;
        case SWAP: { int64_t t = *top; *top = top[-1]; top[-1] = t; break; }
        case LOAD: *top = cells[*top & 15]; break;
        case STORE: top -= 2; cells[top[2] & 15] = top[1]; break;
        case JUMP_NONZERO: { int8_t distance = *at++; if (*top--) at += distance; break; }
        case PRINT: print(*top--, 2 + (unsigned)(steps % 35)); break;
        case HALT: return steps;
        default: __builtin_trap();
        }
    }
}

__attribute__((export_name("run"))) int64_t run(int32_t seed) {
    int8_t code[] = {PUSH, 1, PUSH, 100, OVER, PUSH, 3, MUL, PUSH, 7, ADD, DUP, PRINT, DUP, PUSH, 2, STORE, SWAP, PUSH, 1,
                     SUB, DUP, PUSH, 2, LOAD, PUSH, 5, DIV, PRINT, DUP, JUMP_NONZERO, -28, HALT};
    code[1] = (int8_t)seed;
    code[28 - 22] = (int8_t)(seed % 5 + 2);
    length = 0;
    __builtin_memset(cells, 0, sizeof cells);
    __builtin_memset(output, 0, sizeof output);
    int64_t digest = execute(code);
    for (int i = 0; i < (int)sizeof output; i++) digest = digest * 131 + output[i];
    if (seed == 13) code[0] = 99, digest += execute(code);
    return digest;
}
