// A program for WASI that imports a function from a host module (tally.py): it counts events beyond its own end.
//
//     farcall run examples/tally.wasm apples 3
//
// Compiled with WASI's C library (tools/compile_c.py).

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((import_module("tally"), import_name("add")))
int64_t tally_add(const char *name, size_t length, int64_t amount);

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        fprintf(stderr, "usage: %s NAME AMOUNT\n", arguments[0]);
        return 2;
    }
    int64_t total = tally_add(arguments[1], strlen(arguments[1]), atoll(arguments[2]));
    printf("%s: %" PRId64 "\n", arguments[1], total);
    return 0;
}
