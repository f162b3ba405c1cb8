// Gzip (RFC 1952) members in memory, through zlib.
#ifndef APUS_CZLIB_H
#define APUS_CZLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  /// Deflate expands a byte to at most this many.
  APUS_DEFLATE_MAXIMUM_RATIO = 1032,
};

/// Inflates `bytes` (one or more gzip members, zeros between and behind them left out) into `target` until it is full or the data ends. `*produced` is the number
/// of bytes written; `*ended` says that the data ended there and was whole (lengths and check sums too).
/// Returns NULL, or a constant text that says what is wrong.
const char *apus_gunzip(const uint8_t *bytes, size_t count, uint8_t *target, size_t capacity, size_t *produced, bool *ended);

/// Compresses `bytes` into one gzip member in newly allocated memory, which `apus_zlib_free` gives back; NULL on failure.
uint8_t *apus_gzip(const uint8_t *bytes, size_t count, size_t *produced);

void apus_zlib_free(uint8_t *memory);

#endif
