// The modules whose forward pass this thread is in, outermost first: what an error or a graph's scope is named by.
#ifndef CAPUS_CALLS_H
#define CAPUS_CALLS_H

enum { APUS_CALLS_KEPT = 64 };

struct apus_calls {
  int depth;
  const void *_Nullable items[APUS_CALLS_KEPT];
};
extern _Thread_local struct apus_calls apus_thread_calls;

// Deeper calls are counted and not kept.
static inline void apus_calls_push(const void *_Nonnull object) {
  struct apus_calls *calls = &apus_thread_calls;
  if (calls->depth < APUS_CALLS_KEPT) calls->items[calls->depth] = object;
  calls->depth += 1;
}
static inline void apus_calls_pop(void) { apus_thread_calls.depth -= 1; }
static inline int apus_calls_depth(void) {
  return apus_thread_calls.depth < APUS_CALLS_KEPT ? apus_thread_calls.depth : APUS_CALLS_KEPT;
}
static inline const void *_Nullable apus_calls_item(int i) {
  return i >= 0 && i < apus_calls_depth() ? apus_thread_calls.items[i] : 0;
}

#endif
