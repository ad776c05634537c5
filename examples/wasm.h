/* What the example modules share: names for imports and exports, and the integer types. There is no C library. */
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name), noinline))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

enum { PAGE = 65536 };
