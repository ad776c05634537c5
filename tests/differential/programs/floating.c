// Floating point: bodies that attract each other, matrices, rounding, conversions both ways.
#include <stdint.h>

typedef struct { double position[3], velocity[3], mass; } body;
static body bodies[5];
static float a[16][16], b[16][16], c[16][16];

static void advance(double step) {
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) {
            double d[3], square = 0.01;
            for (int k = 0; k < 3; k++) {
                d[k] = bodies[i].position[k] - bodies[j].position[k];
                square += d[k] * d[k];
            }
            double magnitude = step / (square * __builtin_sqrt(square));
            for (int k = 0; k < 3; k++) {
                bodies[i].velocity[k] -= d[k] * bodies[j].mass * magnitude;
                bodies[j].velocity[k] += d[k] * bodies[i].mass * magnitude;
            }
        }
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) bodies[i].position[k] += step * bodies[i].velocity[k];
}

static int escapes(double x, double y) {
    double u = 0, v = 0;
    int rounds = 0;
    for (; rounds < 100 && u * u + v * v <= 4; rounds++) {
        double t = u * u - v * v + x;
        v = 2 * u * v + y;
        u = t;
    }
    return rounds;
}

__attribute__((export_name("run"))) int64_t run(int32_t seed) {
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].position[k] = (seed % 97) * 0.1 + i * 3.7 - k;
            bodies[i].velocity[k] = i * 0.013 * k - 0.02;
        }
        bodies[i].mass = 1.0 / (i + 1);
    }
    for (int i = 0; i < 200; i++) advance(0.01);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) { a[i][j] = (float)(seed ^ i * j) / 7; b[i][j] = __builtin_floorf(a[i][j] / 3) - 0.5f; }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float sum = 0;
            for (int k = 0; k < 16; k++) sum += a[i][k] * b[k][j];
            c[i][j] = __builtin_rintf(sum) + __builtin_copysignf(0.25f, sum) + __builtin_fabsf(sum) / 1e20f;
        }
    int64_t digest = 0, bits;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) { __builtin_memcpy(&bits, &bodies[i].position[k], 8); digest = digest * 31 + bits; }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) digest += (int64_t)c[i][j] ^ (int64_t)(uint32_t)__builtin_ceil(b[i][j]);
    for (int y = 0; y < 12; y++)
        for (int x = 0; x < 12; x++) digest = digest * 33 + escapes(x / 4.0 - 2, y / 5.0 - 1.2);
    return digest;
}
