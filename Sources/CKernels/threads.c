// Parallel ranges on libgomp's team, and the two threads that own one: the program's first, and one for all others.
#define _GNU_SOURCE
#include "internal.h"

#include <copenmp.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int wanted_threads = 0;  // 0: not set yet
static _Thread_local int team_depth = 0;
static _Thread_local int team_size = 0;  // what this thread last told libgomp
static _Thread_local bool is_compute_thread = false;

int ck_threads(void) {
  int count = atomic_load_explicit(&wanted_threads, memory_order_relaxed);
  if (count > 0) return count;
  int found = apus_omp.max_threads(), unset = 0;
  if (found < 1) found = 1;
  return atomic_compare_exchange_strong(&wanted_threads, &unset, found) ? found : unset;
}

void ck_set_threads(int count) { atomic_store(&wanted_threads, count < 1 ? 1 : count); }

void ck_team_enter(void) {
  if (team_depth++ > 0) return;
  // Other OpenMP code called in the section (matrix products, convolutions) takes its team size from here.
  int count = ck_threads();
  if (team_size != count) {
    apus_omp.set_num_threads(count);
    team_size = count;
  }
}

void ck_team_exit(void) {
  if (team_depth > 0) team_depth--;
}

bool ck_in_team(void) { return team_depth > 0; }
bool ck_on_compute_thread(void) { return is_compute_thread; }

struct range_job {
  ck_range_body body;
  void *context;
  int64_t total, chunk, parts;
};

static void run_parts(void *data) {
  const struct range_job *job = data;
  int64_t team = apus_omp.num_threads();
  for (int64_t part = apus_omp.thread_num(); part < job->parts; part += team) {
    int64_t begin = part * job->chunk;
    int64_t end = CK_MIN(begin + job->chunk, job->total);
    if (begin < end) job->body(job->context, begin, end);
  }
}

void ck_parallel_for(int64_t total, int64_t grain, ck_range_body body, void *context) {
  if (total <= 0) return;
  if (total <= grain || team_depth == 0 || ck_threads() == 1) {
    body(context, 0, total);
    return;
  }
  if (grain < 1) grain = 1;
  int64_t parts = CK_MIN((int64_t)ck_threads(), (total + grain - 1) / grain);
  int64_t chunk = (total + parts - 1) / parts;
  if (chunk >= 1024) chunk = (chunk + 63) / 64 * 64;  // ranges that begin on cache lines
  struct range_job job = {body, context, total, chunk, parts};
  int depth = team_depth;
  team_depth = 0;  // what a body calls runs where it is called
  apus_omp.parallel(run_parts, &job, (unsigned)parts, 0);
  team_depth = depth;
}

// MARK: The compute thread

static pthread_mutex_t callers = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool have_worker = false;
static bool many_cpus = false;

static void (*posted_function)(void *);
static void *posted_context;
static _Atomic uint32_t posted = 0;  // 1 while a job is posted and not finished; the futex of both sides
static _Atomic int worker_sleeps = 0, caller_sleeps = 0;

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Waits until `posted` is no longer `old`: first spinning, since most jobs and most gaps between them are short, then
// asleep. `sleeps` tells the other side that a wake-up call is needed.
static void wait_while(uint32_t old, _Atomic int *sleeps) {
  if (many_cpus) {
    int64_t limit = nanoseconds() + 15000;
    do {
      for (int i = 0; i < 16; i++) {
        if (atomic_load_explicit(&posted, memory_order_acquire) != old) return;
        relax();
      }
    } while (nanoseconds() < limit);
  }
  atomic_store(sleeps, 1);
  while (atomic_load(&posted) == old) syscall(SYS_futex, &posted, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
  atomic_store(sleeps, 0);
}

static void change_posted(uint32_t value, _Atomic int *other_sleeps) {
  atomic_store(&posted, value);
  if (atomic_load(other_sleeps)) syscall(SYS_futex, &posted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *worker(void *unused) {
  (void)unused;
  is_compute_thread = true;
  for (;;) {
    wait_while(0, &worker_sleeps);
    ck_team_enter();
    posted_function(posted_context);
    ck_team_exit();
    change_posted(0, &caller_sleeps);
  }
  return NULL;
}

static void start_worker(void) {
  many_cpus = sysconf(_SC_NPROCESSORS_ONLN) > 1;
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  have_worker = pthread_create(&thread, NULL, worker, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!have_worker) return;
  pthread_setname_np(thread, "apus-compute");
  pthread_detach(thread);
}

static bool is_main_thread(void) {
  static _Thread_local int known = 0;  // 1: no, 2: yes
  if (known == 0) known = syscall(SYS_gettid) == getpid() ? 2 : 1;
  return known == 2;
}

void ck_compute_run(void (*function)(void *), void *context) {
  if (is_compute_thread || team_depth > 0) {
    function(context);
    return;
  }
  pthread_mutex_lock(&callers);
  if (is_main_thread()) {
    // No hand-over: a third busy thread would fight the team of two on a machine of two cores.
    ck_team_enter();
    function(context);
    ck_team_exit();
    pthread_mutex_unlock(&callers);
    return;
  }
  pthread_once(&started, start_worker);
  if (have_worker) {
    posted_function = function;
    posted_context = context;
    change_posted(1, &worker_sleeps);
    wait_while(1, &caller_sleeps);
  } else {
    function(context);  // no thread could be made: correct, if slower
  }
  pthread_mutex_unlock(&callers);
}
