/* Floating point with structures: five bodies for n steps; the energy that is left. */
#include "kernel.h"

enum { BODIES = 5 };
typedef struct { double x, y, z, vx, vy, vz, mass; } body;
static body bodies[BODIES];

static void start(void)
{
    uint32_t state = 12345;
    for (int i = 0; i < BODIES; i++) {
        double *fields = &bodies[i].x;
        for (int f = 0; f < 7; f++)
            fields[f] = next_random(&state) / 4294967296.0 + (f < 3 ? 3.0 * i : 0.0);
    }
}

static void advance(double step)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            body *a = &bodies[i], *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double magnitude = step / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * magnitude;
            a->vy -= dy * b->mass * magnitude;
            a->vz -= dz * b->mass * magnitude;
            b->vx += dx * a->mass * magnitude;
            b->vy += dy * a->mass * magnitude;
            b->vz += dz * a->mass * magnitude;
        }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += step * bodies[i].vx;
        bodies[i].y += step * bodies[i].vy;
        bodies[i].z += step * bodies[i].vz;
    }
}

KERNEL
{
    start();
    for (int32_t i = 0; i < n; i++)
        advance(0.001);
    double energy = 0;
    for (int i = 0; i < BODIES; i++) {
        body *a = &bodies[i];
        energy += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (int j = i + 1; j < BODIES; j++) {
            body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            energy -= a->mass * b->mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return bits_of(energy);
}
