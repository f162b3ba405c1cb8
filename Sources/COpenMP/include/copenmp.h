#ifndef APUS_OPENMP_H
#define APUS_OPENMP_H

// The entry points of libgomp, the run-time that oneDNN and OpenBLAS share. The Swift toolchain's clang brings no OpenMP
// of its own, and linking libgomp would load it before it can be told how long its threads may spin: see openmp.c.

#ifdef __cplusplus
extern "C" {
#endif

struct apus_openmp {
  /// Runs `body(context)` on `threads` threads, the caller among them. `flags` is 0.
  void (*parallel)(void (*body)(void *context), void *context, unsigned threads, unsigned flags);
  /// Inside `body`: which of the threads this is, and how many there are.
  int (*thread_num)(void);
  int (*num_threads)(void);
  /// How many threads the next parallel section of this thread gets: OMP_NUM_THREADS, or the CPUs it may run on.
  int (*max_threads)(void);
  void (*set_num_threads)(int count);
  int (*in_parallel)(void);
};

/// Filled in before `main`. Without libgomp on the machine, everything runs on the calling thread.
extern struct apus_openmp apus_omp;

#ifdef __cplusplus
}
#endif

#endif
