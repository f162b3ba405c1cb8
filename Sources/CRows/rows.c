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

#define SWAP(width) \
  for (size_t i = 0; i < count; i++, at += (width)) { \
    for (size_t a = 0, b = (width) - 1; a < b; a++, b--) { \
      char byte = at[a]; \
      at[a] = at[b]; \
      at[b] = byte; \
    } \
  }

void apus_swap_elements(void *elements, size_t count, size_t width) {
  char *at = elements;
  switch (width) {
    case 0: break;
    case 2: SWAP(2) break;
    case 4: SWAP(4) break;
    case 8: SWAP(8) break;
    default: SWAP(width) break;
  }
}

#define SPLIT(type) \
  for (size_t c = 0; c < channels; c++) { \
    type *plane = (type *)target + c * pixels; \
    for (size_t i = 0; i < pixels; i++) plane[i] = (type)source[i * channels + c]; \
  }

void apus_split_channels(void *target, const uint16_t *source, size_t pixels, size_t channels, bool is_wide) {
  if (is_wide) {
    SPLIT(uint16_t)
  } else {
    SPLIT(uint8_t)
  }
}
