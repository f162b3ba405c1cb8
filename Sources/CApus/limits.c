#include "capus_limits.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t limit_of(int resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return (size_t)limit.rlim_cur;
}

size_t apus_bytes_mappable(void) {
  size_t limit = limit_of(RLIMIT_AS);
  if (limit == SIZE_MAX) return SIZE_MAX;
  // The first number of statm is the mapped size in pages: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  if (file) {
    if (fscanf(file, "%lu", &pages) != 1) pages = 0;
    fclose(file);
  }
  size_t mapped = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
  return mapped < limit ? limit - mapped : 0;
}

// A number in a file; SIZE_MAX where there is none ("max") or no file.
static size_t number_in(const char *path) {
  unsigned long long value = 0;
  FILE *file = fopen(path, "re");
  if (!file) return SIZE_MAX;
  int found = fscanf(file, "%llu", &value);
  fclose(file);
  return found == 1 ? (size_t)value : SIZE_MAX;
}

// The smallest limit of a control group and those above it: https://docs.kernel.org/admin-guide/cgroup-v2.html
static size_t limit_along(const char *root, char *group, const char *name) {
  size_t smallest = SIZE_MAX;
  for (;;) {
    char path[4400];
    if (snprintf(path, sizeof path, "%s%s/%s", root, group, name) < (int)sizeof path)
      smallest = least(smallest, number_in(path));
    char *last = strrchr(group, '/');
    if (!last) return smallest;
    *last = 0;
  }
}

static size_t group_limit(void) {
  size_t smallest = SIZE_MAX;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (!file) return smallest;
  char line[4200];
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = 0;
    if (strcmp(group, "/") == 0) *group = 0;
    if (controllers[1] == 0)  // version 2: one hierarchy
      smallest = least(smallest, limit_along("/sys/fs/cgroup", group, "memory.max"));
    else if (strcmp(controllers + 1, "memory") == 0)
      smallest = least(smallest, limit_along("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  fclose(file);
  return smallest;
}

static size_t allowed = SIZE_MAX / 2;

static void find_allowed(void) {
  struct sysinfo info;
  if (sysinfo(&info) == 0) allowed = ((size_t)info.totalram + info.totalswap) * info.mem_unit;
  allowed = least(allowed, least(limit_of(RLIMIT_AS), limit_of(RLIMIT_DATA)));
  allowed = least(allowed, group_limit());
}

size_t apus_bytes_allowed(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_allowed);
  return allowed;
}

bool apus_has_room(size_t bytes) { return apus_bytes_mappable() >= bytes && apus_bytes_allowed() >= bytes / 2; }

int apus_processors(void) {
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : count > 4096 ? 4096 : (int)count;
}
