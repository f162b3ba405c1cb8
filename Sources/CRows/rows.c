#include "CRows.h"

#include <string.h>

// With a constant size memcpy becomes a load and a store, which labels live on.
#define GATHER(bytes) \
  for (size_t i = 0; i < count; i++) { \
    ptrdiff_t position = positions[i]; \
    if (position < 0 || position >= rows) return false; \
    memcpy(to + i * (bytes), from + (size_t)position * (bytes), bytes); \
  }

bool apus_gather_rows(
    void *target, const void *source, size_t row_bytes, ptrdiff_t rows, const ptrdiff_t *positions, size_t count) {
  char *to = target;
  const char *from = source;
  switch (row_bytes) {
    case 0: break;
    case 1: GATHER(1) break;
    case 4: GATHER(4) break;
    case 8: GATHER(8) break;
    default: GATHER(row_bytes) break;
  }
  return true;
}
