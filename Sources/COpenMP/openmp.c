#include "copenmp.h"

#include <capus_limits.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void parallel_here(void (*body)(void *), void *context, unsigned threads, unsigned flags) {
  (void)threads;
  (void)flags;
  body(context);
}
static int zero(void) { return 0; }
static int one(void) { return 1; }
static void ignore(int count) { (void)count; }

struct apus_openmp apus_omp = {parallel_here, zero, one, one, ignore, zero};

// libgomp's idle threads spin for about 3 ms by default, which is long compared with what follows them in a program
// with other threads or on a shared machine: with both of two cores taken by other processes, training the digits took
// 43 s by default and 7 to 13 s with this bound; on a quiet machine no difference showed. Documentation of the variable, in pauses of a few
// nanoseconds: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
static const char spin_variable[] = "GOMP_SPINCOUNT", spin_count[] = "20000";

// Sets an environment variable and returns what it was, to be given to `restore`.
static char *replace(const char *name, const char *value) {
  const char *before = getenv(name);
  char *copy = before ? strdup(before) : NULL;
  setenv(name, value, 1);
  return copy;
}
static void restore(const char *name, char *before) {
  if (before)
    setenv(name, before, 1);
  else
    unsetenv(name);
  free(before);
}

// libgomp reads its settings once, while it is loaded. Before `main` no other thread can be looking at the environment.
__attribute__((constructor)) static void load(void) {
  int is_users = getenv(spin_variable) != NULL || getenv("OMP_WAIT_POLICY") != NULL;
  if (!is_users) setenv(spin_variable, spin_count, 1);
  // libgomp ends the process when it can't start a thread. Each maps a stack and, by malloc, a heap of its own:
  // 8 and 128 MiB by default. Where the limits leave no room for that, one thread does everything.
  int is_narrow = !apus_has_room(((size_t)64 + (size_t)144 * (size_t)apus_processors()) << 20);
  char *threads = is_narrow ? replace("OMP_NUM_THREADS", "1") : NULL;
  char *limit = is_narrow ? replace("OMP_THREAD_LIMIT", "1") : NULL;
  void *library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!is_users) unsetenv(spin_variable);
  if (is_narrow) {
    restore("OMP_NUM_THREADS", threads);
    restore("OMP_THREAD_LIMIT", limit);
  }
  if (library == NULL) return;
  struct apus_openmp found = {
      (void (*)(void (*)(void *), void *, unsigned, unsigned))dlsym(library, "GOMP_parallel"),
      (int (*)(void))dlsym(library, "omp_get_thread_num"),
      (int (*)(void))dlsym(library, "omp_get_num_threads"),
      (int (*)(void))dlsym(library, "omp_get_max_threads"),
      (void (*)(int))dlsym(library, "omp_set_num_threads"),
      (int (*)(void))dlsym(library, "omp_in_parallel"),
  };
  if (found.parallel && found.thread_num && found.num_threads && found.max_threads && found.set_num_threads
      && found.in_parallel) {
    apus_omp = found;
  }
}
