// SHA-256, CRC-32, 128-bit products: rotations, shifts, carries.
#include <stdint.h>

static uint8_t message[1024];
static uint32_t constants[64], table[256];

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

// The two halves of the 128-bit product, added without carry.
static uint64_t folded_product(uint64_t x, uint64_t y) {
    uint64_t x0 = (uint32_t)x, x1 = x >> 32, y0 = (uint32_t)y, y1 = y >> 32;
    uint64_t middle = x1 * y0 + (x0 * y0 >> 32), low = x0 * y1 + (uint32_t)middle;
    return (x1 * y1 + (middle >> 32) + (low >> 32)) ^ x * y;
}

static void make_constants(void) {
    int found = 0;
    for (uint32_t candidate = 2; found < 64; candidate++) {
        int prime = 1;
        for (uint32_t divisor = 2; divisor * divisor <= candidate; divisor++)
            if (candidate % divisor == 0) prime = 0;
        if (!prime) continue;
        double root = 1;
        for (int i = 0; i < 60; i++) root -= (root * root * root - candidate) / (3 * root * root);
        constants[found++] = (uint32_t)((root - (double)(int)root) * 4294967296.0);
    }
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        table[i] = c;
    }
}

static void compress(uint32_t *h, const uint8_t *block) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    for (int i = 0; i < 8; i++) v[i] = h[i];
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int j = 7; j > 0; j--) v[j] = v[j - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

__attribute__((export_name("run"))) int64_t run(int32_t seed) {
    make_constants();
    uint64_t state = (uint32_t)seed * 0x9E3779B97F4A7C15u + 1;
    for (int i = 0; i < 1024; i++) {
        state = folded_product(state, 0xD1342543DE82EF95u);
        message[i] = (uint8_t)(state >> __builtin_ctzll(state | 1 << 20));
    }
    uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, (uint32_t)seed}, crc = ~0u;
    for (int i = 0; i < 1024; i += 64) compress(h, message + i);
    for (int i = 0; i < 1024; i++) crc = crc >> 8 ^ table[(crc ^ message[i]) & 255];
    uint64_t digest = crc;
    for (int i = 0; i < 8; i++) digest = (digest << 7 | digest >> 57) ^ h[i] ^ (uint64_t)__builtin_popcount(h[i]) << 40;
    return (int64_t)digest;
}
