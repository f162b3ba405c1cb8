#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// A hash table whose entries also hang in one list, most recently used first.

typedef struct Entry {
  OpKey key;
  uint64_t hash;
  apus_dnn_op_t op;
  struct Entry *nextInBucket, *newer, *older;
} Entry;

enum { kBuckets = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Entry *buckets[kBuckets];
static Entry *newest, *oldest;
static size_t entryCount, capacity = 1024;
static uint64_t compiledCount, answeredCount;

OpKey dnnKey(int family, int kind) {
  OpKey key;
  memset(&key, 0, sizeof key);
  key.family = family;
  key.kind = kind;
  // Kernels are cut for a number of threads when they are made.
  key.threads = apus_omp.max_threads();
  return key;
}

static uint64_t hashOf(const OpKey *key) {
  const uint64_t *words = (const uint64_t *)(const void *)key;
  uint64_t hash = 1469598103934665603u;
  for (size_t i = 0; i < offsetof(OpKey, layouts) / sizeof *words; i++) {
    hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  for (int i = 0; i < 3; i++) {
    hash = (hash ^ (key->layouts[i] != NULL ? key->layouts[i]->hash : 0)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

static bool sameKey(const OpKey *a, const OpKey *b) {
  if (memcmp(a, b, offsetof(OpKey, layouts)) != 0) return false;
  for (int i = 0; i < 3; i++) {
    if (!apus_dnn_layout_equal(a->layouts[i], b->layouts[i])) return false;
  }
  return true;
}

static void unlinkFromList(Entry *entry) {
  *(entry->newer != NULL ? &entry->newer->older : &newest) = entry->older;
  *(entry->older != NULL ? &entry->older->newer : &oldest) = entry->newer;
  entry->newer = entry->older = NULL;
}

static void linkNewest(Entry *entry) {
  entry->older = newest;
  *(newest != NULL ? &newest->newer : &oldest) = entry;
  newest = entry;
}

static Entry *find(const OpKey *key, uint64_t hash) {
  for (Entry *entry = buckets[hash % kBuckets]; entry != NULL; entry = entry->nextInBucket) {
    if (entry->hash == hash && sameKey(&entry->key, key)) return entry;
  }
  return NULL;
}

static void evictOldest(void) {
  Entry *entry = oldest;
  unlinkFromList(entry);
  Entry **link = &buckets[entry->hash % kBuckets];
  while (*link != entry) link = &(*link)->nextInBucket;
  *link = entry->nextInBucket;
  for (int i = 0; i < 3; i++) apus_dnn_layout_release(entry->key.layouts[i]);
  apus_dnn_op_release(entry->op);
  free(entry);
  entryCount--;
}

apus_dnn_op_t dnnCacheFind(const OpKey *key) {
  uint64_t hash = hashOf(key);
  apus_dnn_op_t op = NULL;
  pthread_mutex_lock(&lock);
  Entry *entry = find(key, hash);
  if (entry != NULL) {
    if (entry != newest) {
      unlinkFromList(entry);
      linkNewest(entry);
    }
    op = apus_dnn_op_retain(entry->op);
    answeredCount++;
  }
  pthread_mutex_unlock(&lock);
  return op;
}

apus_dnn_op_t dnnCacheInsert(const OpKey *key, apus_dnn_op_t op) {
  uint64_t hash = hashOf(key);
  Entry *fresh = calloc(1, sizeof *fresh);
  pthread_mutex_lock(&lock);
  compiledCount++;
  Entry *entry = find(key, hash);
  if (entry != NULL) {
    apus_dnn_op_release(op);
    op = apus_dnn_op_retain(entry->op);
  } else if (fresh != NULL && capacity > 0) {
    fresh->key = *key;
    fresh->hash = hash;
    fresh->op = apus_dnn_op_retain(op);
    for (int i = 0; i < 3; i++) {
      if (key->layouts[i] != NULL) apus_dnn_layout_retain(key->layouts[i]);
    }
    fresh->nextInBucket = buckets[hash % kBuckets];
    buckets[hash % kBuckets] = fresh;
    linkNewest(fresh);
    fresh = NULL;
    entryCount++;
    while (entryCount > capacity) evictOldest();
  }
  pthread_mutex_unlock(&lock);
  free(fresh);
  return op;
}

void apus_dnn_cache_set_capacity(size_t count) {
  pthread_mutex_lock(&lock);
  capacity = count;
  while (entryCount > capacity) evictOldest();
  pthread_mutex_unlock(&lock);
}

size_t apus_dnn_cache_count(void) {
  pthread_mutex_lock(&lock);
  size_t count = entryCount;
  pthread_mutex_unlock(&lock);
  return count;
}

void apus_dnn_cache_statistics(uint64_t *compiled, uint64_t *answered) {
  pthread_mutex_lock(&lock);
  *compiled = compiledCount;
  *answered = answeredCount;
  pthread_mutex_unlock(&lock);
}
