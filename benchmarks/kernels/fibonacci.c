/* Recursion without loops: Fibonacci's number n, the slow way. */
#include "kernel.h"

__attribute__((noinline)) static int64_t fibonacci(int32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

KERNEL
{
    return fibonacci(n);
}
