#include "capus.h"
#include "capus_limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

_Thread_local void *apus_thread_context = NULL;
int apus_engine_choice_made = 0;

// Size classes: four a power of two from 64 bytes on (64, 80, 96, 112, 128, 160, …), so that at most a fifth of a
// block is slack. Class c covers 2^(6 + c/4) · (4 + c%4)/4 bytes.
enum { CLASSES = 4 * 50, SMALL_LIMIT = 64 << 10, THREAD_BYTES = 1 << 20, HUGE_PAGE = 2 << 20 };

typedef struct block { struct block *next; } block;
typedef struct { block *first; size_t count; } list;
typedef struct { list lists[CLASSES]; size_t bytes; bool registered; } thread_cache;

static _Thread_local thread_cache cache;
static list shared_lists[CLASSES];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static atomic_size_t in_use, cached;  // cached: changed under the lock only
static size_t most_in_use;            // under the lock

// What is kept beyond what is in use: as much again as was ever in use at once, and a little. Sizes that come back in
// every step stay mapped; sizes that never come back do not pile up.
enum { SMALL_RESERVE = 256 << 20 };

static size_t class_bytes(int c) { return ((size_t)64 << (c / 4)) / 4 * (4 + c % 4); }

static int class_of(size_t bytes) {
  if (bytes <= 64) return 0;
  int power = 63 - __builtin_clzll(bytes - 1);  // 2^power < bytes … ≤ 2^(power+1)
  size_t base = (size_t)1 << power, quarter = base / 4;
  int step = (int)((bytes - base + quarter - 1) / quarter);  // 1…4
  return (power - 6) * 4 + step;
}

static void push(list *l, void *p) {
  block *b = p;
  b->next = l->first;
  l->first = b;
  l->count++;
}

static void *pop(list *l) {
  block *b = l->first;
  if (b) { l->first = b->next; l->count--; }
  return b;
}

static void flush_thread_cache(void *unused) {
  (void)unused;
  pthread_mutex_lock(&shared_lock);
  for (int c = 0; c < CLASSES && class_bytes(c) <= SMALL_LIMIT; c++)
    for (void *p; (p = pop(&cache.lists[c]));) {
      push(&shared_lists[c], p);
      atomic_fetch_sub_explicit(&in_use, class_bytes(c), memory_order_relaxed);
      atomic_fetch_add_explicit(&cached, class_bytes(c), memory_order_relaxed);
    }
  pthread_mutex_unlock(&shared_lock);
  cache.bytes = 0;
  cache.registered = false;
}

static void make_key(void) { pthread_key_create(&exit_key, flush_thread_cache); }

static void *from_system(size_t bytes) {
  if (bytes < 2 * (size_t)HUGE_PAGE) return aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  void *p = aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1));
  // Fewer first-touch faults: a fresh 4 KiB page costs microseconds, more than computing on it.
  if (p) madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

// Gives shared blocks back, the largest first, until no more than `kept` bytes are cached. The lock is held.
static void release_down_to(size_t kept) {
  size_t now = atomic_load_explicit(&cached, memory_order_relaxed);
  for (int c = CLASSES - 1; c >= 0 && now > kept; c--)
    for (void *p; now > kept && (p = pop(&shared_lists[c])); now -= class_bytes(c)) free(p);
  atomic_store_explicit(&cached, now, memory_order_relaxed);
}

// Before `size` fresh bytes are asked for.
static void make_room(size_t size) {
  size_t use = atomic_load_explicit(&in_use, memory_order_relaxed) + size;
  if (use > most_in_use) most_in_use = use;
  size_t bound = most_in_use + (most_in_use > SMALL_RESERVE ? most_in_use : SMALL_RESERVE);
  release_down_to(bound > use ? bound - use : 0);
}

void *apus_allocate(size_t bytes) {
  int c = class_of(bytes);
  if (c >= CLASSES) return NULL;
  // The limit is asked for only where it could matter.
  if (bytes > (size_t)1 << 28 && bytes > apus_bytes_allowed()) return NULL;
  size_t size = class_bytes(c);
  void *p = NULL;
  if (size <= SMALL_LIMIT && (p = pop(&cache.lists[c]))) {
    cache.bytes -= size;
    return p;
  }
  pthread_mutex_lock(&shared_lock);
  if ((p = pop(&shared_lists[c])))
    atomic_fetch_sub_explicit(&cached, size, memory_order_relaxed);
  else
    make_room(size);
  pthread_mutex_unlock(&shared_lock);
  if (!p && !(p = from_system(size))) {
    apus_trim();
    if (!(p = from_system(size))) return NULL;
  }
  // Blocks in a thread's cache count as in use: two atomics an op would cost more than the figure is worth.
  atomic_fetch_add_explicit(&in_use, size, memory_order_relaxed);
  return p;
}

void apus_deallocate(void *p, size_t bytes) {
  int c = class_of(bytes);
  size_t size = class_bytes(c);
  if (size <= SMALL_LIMIT && cache.bytes + size <= THREAD_BYTES) {
    if (!cache.registered) {
      cache.registered = true;
      pthread_once(&exit_once, make_key);
      pthread_setspecific(exit_key, &cache);
    }
    push(&cache.lists[c], p);
    cache.bytes += size;
    return;
  }
  pthread_mutex_lock(&shared_lock);
  push(&shared_lists[c], p);
  atomic_fetch_add_explicit(&cached, size, memory_order_relaxed);
  pthread_mutex_unlock(&shared_lock);
  atomic_fetch_sub_explicit(&in_use, size, memory_order_relaxed);
}

void apus_trim(void) {
  if (cache.registered) {
    flush_thread_cache(NULL);
    pthread_setspecific(exit_key, NULL);
  }
  pthread_mutex_lock(&shared_lock);
  release_down_to(0);
  pthread_mutex_unlock(&shared_lock);
}

size_t apus_bytes_in_use(void) { return atomic_load_explicit(&in_use, memory_order_relaxed); }
size_t apus_bytes_cached(void) { return atomic_load_explicit(&cached, memory_order_relaxed); }
