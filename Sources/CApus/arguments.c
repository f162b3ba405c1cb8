#include "capus_arguments.h"
#include <features.h>

static int count = -1;
static char **values;

#if defined(__GLIBC__)
// glibc hands a program's arguments to its constructors too. Swift reads them from /proc, which need not be there.
__attribute__((constructor)) static void keep(int argc, char **argv) {
  count = argc;
  values = argv;
}
#endif

int apus_argument_count(void) { return count; }

const char *apus_argument(int i) { return i >= 0 && i < count ? values[i] : 0; }
