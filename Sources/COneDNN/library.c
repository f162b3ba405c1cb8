#include <capus_limits.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "internal.h"

struct DnnLibrary dnn;
dnnl_engine_t dnnEngine;
dnnl_stream_t dnnStream;

static char problem[400];

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
// Descriptors have the headers' layout, so no other major version will do.
static const char fileName[] = "libdnnl.so." TEXT(DNNL_VERSION_MAJOR);

static void load(void) {
  // Its code takes 40 MiB, the kernels that it compiles some more.
  if (!apus_has_room((size_t)128 << 20)) {
    snprintf(problem, sizeof problem, "oneDNN was not loaded: the process may not take the memory that it needs");
    return;
  }
  void *library = dlopen(fileName, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(
        problem, sizeof problem, "oneDNN can't be loaded: %s (Debian: install libdnnl" TEXT(DNNL_VERSION_MAJOR) ")",
        dlerror());
    return;
  }
  struct DnnLibrary found;
#define FIND(name) \
  if ((found.name = (__typeof__(found.name))dlsym(library, "dnnl_" #name)) == NULL) { \
    snprintf(problem, sizeof problem, "%s has no dnnl_" #name, fileName); \
    return; \
  }
  DNN_FUNCTIONS(FIND)
#undef FIND
  dnn = found;
  if (dnn.engine_create(&dnnEngine, dnnl_cpu, 0) != dnnl_success
      || dnn.stream_create(&dnnStream, dnnEngine, dnnl_stream_default_flags) != dnnl_success) {
    snprintf(problem, sizeof problem, "oneDNN could not make its CPU engine");
  }
}

apus_dnn_status dnnReady(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return problem[0] == 0 ? APUS_DNN_OK : dnnFail(APUS_DNN_FAILED, "%s", problem);
}
