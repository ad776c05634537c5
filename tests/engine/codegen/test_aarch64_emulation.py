"""Code for AArch64, run: an image that was linked here, in a program for AArch64 Linux, under an emulator."""

from __future__ import annotations

import subprocess

import pytest

from farcall.engine.abi import layout
from farcall.engine.abi.layout import RuntimeFunction, context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.linker import link
from tests.engine.codegen.aarch64_program import aarch64_command
from tests.engine.codegen.test_elf_and_linker import AARCH64, GUEST, compile_guest
from tests.engine.guests import wasm

PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
/* The image, at a page of its own in the program's code. */
__attribute__((section(".text.guest"), aligned(65536))) static const unsigned char image[] = { IMAGE };
static unsigned char context[4096] __attribute__((aligned(16)));
static uint64_t execution, runtime[64], record[4], elements[2], table[3];
static int32_t type_ids[16];
static const double f64s[4] = {0.0, -0.0, 1.0, -1.0};
static const float f32s[4] = {0.0f, -0.0f, 1.0f, -1.0f};
static void put(int at, uint64_t word) { memcpy(context + at, &word, 8); }
static uint64_t seen[5];
static void memory_copy(void *e, void *to, void *from, uint64_t a, uint64_t b, uint64_t c)
{ seen[0] = (uint64_t)e; seen[1] = a; seen[2] = b; seen[3] = c; seen[4] = to == from; }
int main(void) {
    put(CONTEXT_EXECUTION, (uint64_t)&execution);
    put(CONTEXT_RUNTIME, (uint64_t)runtime);
    put(CONTEXT_TYPE_IDS, (uint64_t)type_ids);
    memcpy(context + CONTEXT_FLOATS, f64s, 32);
    memcpy(context + CONTEXT_FLOATS + 32, f32s, 16);
    put(TABLE, (uint64_t)elements);
    put(TABLE + 8, (uint64_t)table);
    put(MEMORY + 8, (uint64_t)record);
    table[0] = (uint64_t)elements; table[1] = table[2] = 2;
    /* The record of function 0. */
    put(RECORD, (uint64_t)(image + F0)); put(RECORD + 8, (uint64_t)context); put(RECORD + 16, 0);
    elements[0] = (uint64_t)(context + RECORD);
    runtime[MEMORY_COPY] = (uint64_t)memory_copy;
    int32_t (*fib)(void *, int32_t) = (void *)(image + F0);
    int32_t (*choose)(void *, int32_t) = (void *)(image + F1);
    double (*floats)(void *, double) = (void *)(image + F2);
    int32_t (*truncate)(void *, double) = (void *)(image + F3);
    int32_t (*indirect)(void *, int32_t) = (void *)(image + F4);
    void (*copy)(void *) = (void *)(image + F5);
    printf("fib %d %d\n", fib(context, 10), fib(context, 20));
    for (int i = -1; i < 7; i++) printf("switch %d\n", choose(context, i));
    printf("floats %a %a\n", floats(context, 2.0), floats(context, 1e300));
    printf("truncate %d %d ", truncate(context, -7.9), truncate(context, 1e30));
    printf("%d %d\n", truncate(context, -1e30), truncate(context, NAN));
    printf("indirect %d\n", indirect(context, 15));
    copy(context);
    printf("copy %d %d %d %d %d\n", seen[0] == (uint64_t)&execution, (int)seen[1], (int)seen[2],
    (int)seen[3], (int)seen[4]);
    return 0;
}
"""

EXPECTED = [
    "fib 55 6765",
    *(f"switch {value}" for value in (99, 11, 7, -5, 1234567, 0, 99, 99)),
    f"floats {float.hex(2.0 * 3.14159 + 1e300)} {float.hex(1e300 * 3.14159 + 1e300)}",
    "truncate -7 2147483647 -2147483648 0",
    "indirect 610",
    "copy 1 0 8 9 1",
]


@pytest.mark.timeout(1200)
def test_images_run(tmp_path):
    """Of both optimizations, one after the other: the compiler for AArch64 spends half a minute on itself, once."""
    places = context_layout(decode_module(wasm(GUEST)))
    for optimization in Optimization:
        image = link([compile_guest(GUEST, AARCH64, optimization)])
        definitions = {
            "IMAGE": ",".join(map(str, image.content)),
            "CONTEXT_EXECUTION": layout.CONTEXT_EXECUTION,
            "CONTEXT_RUNTIME": layout.CONTEXT_RUNTIME,
            "CONTEXT_TYPE_IDS": layout.CONTEXT_TYPE_IDS,
            "CONTEXT_FLOATS": layout.CONTEXT_FLOAT_CONSTANTS,
            "TABLE": places.table(0),
            "MEMORY": places.memory(0),
            "RECORD": places.function_record(0),
            "MEMORY_COPY": int(RuntimeFunction.MEMORY_COPY),
            **{name.upper(): offset for offset, _size, name in image.functions},
        }
        command = aarch64_command(PROGRAM, definitions, tmp_path)
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run
        lines = run.stdout.splitlines()
        # C writes hexadecimal floats without the zeros at the end that Python writes.
        lines[9] = " ".join(["floats", *(float.hex(float.fromhex(word)) for word in lines[9].split()[1:])])
        assert lines == EXPECTED
