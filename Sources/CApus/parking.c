#include "capus_parking.h"

#include <pthread.h>
#include <stdint.h>

// Objects share a few queues: a wake for another object of the same queue costs one more look.
enum { QUEUES = 64 };
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
} queues[QUEUES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
  for (int i = 0; i < QUEUES; i++) {
    pthread_mutex_init(&queues[i].lock, NULL);
    pthread_cond_init(&queues[i].changed, NULL);
  }
}

static int queue_of(const void *object) {
  uint64_t bits = (uint64_t)(uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15);  // Fibonacci hashing
  return (int)(bits >> 58);
}

void apus_park(const void *object, bool (*waits)(void *), void *context) {
  pthread_once(&once, start);
  int i = queue_of(object);
  pthread_mutex_lock(&queues[i].lock);
  while (waits(context)) pthread_cond_wait(&queues[i].changed, &queues[i].lock);
  pthread_mutex_unlock(&queues[i].lock);
}

void apus_wake(const void *object) {
  pthread_once(&once, start);
  int i = queue_of(object);
  pthread_mutex_lock(&queues[i].lock);
  pthread_cond_broadcast(&queues[i].changed);
  pthread_mutex_unlock(&queues[i].lock);
}
