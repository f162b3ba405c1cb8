#include "capus_calls.h"

_Thread_local struct apus_calls apus_thread_calls;
