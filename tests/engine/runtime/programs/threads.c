// What threads do, in C: each thread is an instance of this module, and all of them share its memory.

typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))

// A mutex of three states: free, held, held and waited for.
typedef struct { _Atomic int state; } mutex;

static void wait_while(_Atomic int *word, int value) {
  __builtin_wasm_memory_atomic_wait32((int *)word, value, -1);
}

static void wake(_Atomic int *word, u32 count) {
  __builtin_wasm_memory_atomic_notify((int *)word, count);
}

static void lock(mutex *m) {
  int seen = 0;
  if (__c11_atomic_compare_exchange_strong(&m->state, &seen, 1, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    return;
  if (seen != 2)
    seen = __c11_atomic_exchange(&m->state, 2, __ATOMIC_SEQ_CST);
  while (seen != 0) {
    wait_while(&m->state, 2);
    seen = __c11_atomic_exchange(&m->state, 2, __ATOMIC_SEQ_CST);
  }
}

static void unlock(mutex *m) {
  if (__c11_atomic_exchange(&m->state, 0, __ATOMIC_SEQ_CST) == 2)
    wake(&m->state, 1);
}

// A condition: whoever waits remembers the number of signals so far.
typedef struct { _Atomic int signals; } condition;

static void wait_for(condition *c, mutex *m) {
  int seen = c->signals;
  unlock(m);
  wait_while(&c->signals, seen);
  lock(m);
}

static void signal_all(condition *c) {
  c->signals++;
  wake(&c->signals, -1);
}

// Plain counters under the mutex.
static mutex counting = {0};
static u64 count = 1000000007; // from a data segment: copied once, whichever instance is made first

EXPORT(count) u64 add_under_lock(u32 times) {
  for (u32 i = 0; i < times; i++) {
    lock(&counting);
    count += i;
    unlock(&counting);
  }
  return count;
}

// Producers and consumers of a small ring.
#define ROOM 8
static mutex ring_lock = {0};
static condition ring_changed = {0};
static u32 ring[ROOM];
static u32 put_at, taken_at;

EXPORT(produce) void produce(u32 first, u32 number) {
  for (u32 i = 0; i < number; i++) {
    lock(&ring_lock);
    while (put_at - taken_at == ROOM)
      wait_for(&ring_changed, &ring_lock);
    ring[put_at++ % ROOM] = first + i;
    signal_all(&ring_changed);
    unlock(&ring_lock);
  }
}

EXPORT(consume) u64 consume(u32 number) {
  u64 sum = 0;
  for (u32 i = 0; i < number; i++) {
    lock(&ring_lock);
    while (put_at == taken_at)
      wait_for(&ring_changed, &ring_lock);
    sum += ring[taken_at++ % ROOM];
    signal_all(&ring_changed);
    unlock(&ring_lock);
  }
  return sum;
}

// A barrier: in every round each thread writes its number, and afterwards all see all numbers of the round.
#define MOST 16
static _Atomic int arrived;
static _Atomic int round_of_barrier;
static u32 written[MOST];

static void meet(int threads) {
  int now = round_of_barrier;
  if (__c11_atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST) + 1 == threads) {
    arrived = 0;
    round_of_barrier = now + 1;
    wake(&round_of_barrier, -1);
    return;
  }
  while (round_of_barrier == now)
    wait_while(&round_of_barrier, now);
}

EXPORT(rounds) u32 rounds(u32 own, u32 threads, u32 number) {
  u32 wrong = 0;
  for (u32 i = 1; i <= number; i++) {
    written[own] = i * 100 + own;
    meet(threads);
    for (u32 other = 0; other < threads; other++)
      wrong += written[other] != i * 100 + other;
    meet(threads);
  }
  return wrong;
}

// A stack of each thread's own: deep enough calls would show it if two threads had the same.
EXPORT(on_the_stack) u64 on_the_stack(u32 depth, u32 seed) {
  volatile u32 kept[16];
  for (u32 i = 0; i < 16; i++)
    kept[i] = seed + i;
  u64 below = depth == 0 ? 0 : on_the_stack(depth - 1, seed * 3 + 1);
  for (u32 i = 0; i < 16; i++)
    below = below * 31 + kept[i];
  return below;
}
