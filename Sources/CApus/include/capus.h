// Leaf C beneath ApusCore: the thread's execution context, the caching allocator of host memory, and the
// weak hook through which an embedded engine announces itself.
#ifndef CAPUS_H
#define CAPUS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The innermost execution context of this thread (a retained ApusCore object), or NULL: one thread-local load an op.
extern _Thread_local void *_Nullable apus_thread_context;
static inline void *_Nullable apus_context_get(void) { return apus_thread_context; }
static inline void apus_context_set(void *_Nullable context) { apus_thread_context = context; }

// Whether any task or the process was ever given another engine than the embedded one: one load an operation.
extern int apus_engine_choice_made;
static inline bool apus_engine_may_be_chosen(void) {
  return __atomic_load_n(&apus_engine_choice_made, __ATOMIC_RELAXED) != 0;
}
static inline void apus_engine_was_chosen(void) { __atomic_store_n(&apus_engine_choice_made, 1, __ATOMIC_RELAXED); }

// Caching allocator: blocks are 64-byte aligned and rounded up to size classes; small ones are kept per thread, large
// ones in shared bins, so that pages once touched stay mapped. Returns NULL when the system refuses, and for more than
// the process may have (capus_limits.h).
void *_Nullable apus_allocate(size_t bytes);
void apus_deallocate(void *_Nonnull block, size_t bytes);
// Gives cached blocks back to the system (this thread's and the shared ones).
void apus_trim(void);
size_t apus_bytes_in_use(void);
size_t apus_bytes_cached(void);

// Defined by ApusCPU when it is linked in; returns a retained `AnyObject` that is an `Engine`.
void *_Nullable apus_embedded_engine(void) __attribute__((weak));
static inline bool apus_has_embedded_engine(void) { return apus_embedded_engine != 0; }
static inline void *_Nullable apus_make_embedded_engine(void) { return apus_embedded_engine ? apus_embedded_engine() : 0; }

// Defined by ApusNN when it is linked in; returns a retained object that describes the module calls this thread is in,
// or NULL outside of all.
void *_Nullable apus_describe_calls(void) __attribute__((weak));
static inline void *_Nullable apus_current_calls(void) { return apus_describe_calls ? apus_describe_calls() : 0; }

#endif
