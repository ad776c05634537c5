// A program for WASI, as any C program is: it counts lines, words and bytes, of files or of standard input.
//
//     farcall run examples/word_count.wasm < README.md
//     farcall run examples/word_count.wasm --dir examples::/:ro -- library.c application.c
//
// Compiled with WASI's C library (tools/compile_c.py).

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct counts {
    unsigned long lines, words, bytes;
};

static struct counts count(FILE *file)
{
    struct counts found = {0, 0, 0};
    int in_word = 0;
    int character;
    while ((character = getc(file)) != EOF) {
        found.bytes++;
        if (character == '\n')
            found.lines++;
        if (isspace(character))
            in_word = 0;
        else if (!in_word) {
            in_word = 1;
            found.words++;
        }
    }
    return found;
}

static void print(struct counts found, const char *name)
{
    printf("%lu %lu %lu %s\n", found.lines, found.words, found.bytes, name);
}

int main(int argument_count, char **arguments)
{
    int failures = 0;
    if (argument_count < 2)
        print(count(stdin), "-");
    for (int index = 1; index < argument_count; index++) {
        FILE *file = fopen(arguments[index], "rb");
        if (file == NULL) {
            fprintf(stderr, "%s: %s: %s\n", arguments[0], arguments[index], strerror(errno));
            failures++;
            continue;
        }
        print(count(file), arguments[index]);
        fclose(file);
    }
    return failures;
}
