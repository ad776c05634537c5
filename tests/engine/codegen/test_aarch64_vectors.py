"""Vector instructions of AArch64, run under an emulator: random programs leave in memory what they leave here."""

from __future__ import annotations

import subprocess

import pytest

from farcall.engine import Engine
from farcall.engine.abi import layout
from farcall.engine.abi.layout import context_layout
from farcall.engine.binary import decode_module
from farcall.engine.codegen.compiler import Optimization, compile_to_object
from farcall.engine.codegen.elf import read_object
from farcall.engine.codegen.linker import link
from farcall.engine.codegen.target import Target
from farcall.engine.lowering import LoweringOptions, lower_functions
from tests.differential.farcall_subject import run_on_farcall
from tests.differential.vector_generator import vector_case
from tests.engine.codegen.aarch64_program import aarch64_command

AARCH64 = Target("aarch64-unknown-linux-gnu", "generic", "")
PAGE = 65536

PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
/* Arguments: files of the image and of the memory, the function's offset in the image, the memory's entry in the
   context; then what the function is called with, time after time. The memory is written to standard output. */
static unsigned char context[4096] __attribute__((aligned(16))), memory[2 * 65536];
static uint64_t execution;
static const double f64s[4] = {0.0, -0.0, 1.0, -1.0};
static const float f32s[4] = {0.0f, -0.0f, 1.0f, -1.0f};
static void put(int at, uint64_t word) { memcpy(context + at, &word, 8); }
int main(int count, char **arguments) {
    char *image = mmap(0, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, open(arguments[1], O_RDONLY), 0);
    FILE *content = fopen(arguments[2], "rb");
    if (image == MAP_FAILED || fread(memory, 1, 65536, content) != 65536)
        return 1;
    put(CONTEXT_EXECUTION, (uint64_t)&execution);
    memcpy(context + CONTEXT_FLOATS, f64s, 32);
    memcpy(context + CONTEXT_FLOATS + 32, f32s, 16);
    put(atoi(arguments[4]), (uint64_t)memory);
    void (*run)(void *, int32_t) = (void *)(image + atoi(arguments[3]));
    for (int i = 5; i < count; i++)
        run(context, atoi(arguments[i]));
    fwrite(memory, 1, 65536, stdout);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The command that runs an image."""
    definitions = {
        "CONTEXT_EXECUTION": layout.CONTEXT_EXECUTION,
        "CONTEXT_FLOATS": layout.CONTEXT_FLOAT_CONSTANTS,
    }
    return aarch64_command(PROGRAM, definitions, tmp_path_factory.mktemp("program"))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("capabilities", [AARCH64.capabilities, frozenset()], ids=["aarch64", "any machine"])
def test_random_vector_programs(program, capabilities, tmp_path):
    for seed, optimization in [(1, Optimization.FULL), (2, Optimization.FULL), (3, Optimization.FAST)]:
        case = vector_case(seed, 500)
        with Engine() as engine:
            expected = run_on_farcall(engine, case, ensure_termination=True).memory
        module = decode_module(case.module)
        places = context_layout(module)
        options = LoweringOptions(False, False, capabilities)
        text = lower_functions(module, places, options, module.functions)
        image = link([read_object(compile_to_object(text, AARCH64, optimization))])
        memory = bytearray(PAGE)
        (data,) = module.data
        memory[: data.end - data.start] = case.module[data.start : data.end]
        (tmp_path / "image").write_bytes(image.content)
        (tmp_path / "memory").write_bytes(memory)
        ((entry, _, _),) = image.functions
        arguments = [entry, places.memory(0), *(given[0] for _, given in case.calls)]
        command = [*program, tmp_path / "image", tmp_path / "memory", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        assert run.stdout == expected, seed
