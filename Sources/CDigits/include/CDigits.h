// The UCI optical recognition of handwritten digits, built in. See README.md for its source and licence.
#ifndef APUS_CDIGITS_H
#define APUS_CDIGITS_H

#include <stdint.h>

enum {
  APUS_DIGITS_COUNT = 1797,
  APUS_DIGITS_HEIGHT = 8,
  APUS_DIGITS_WIDTH = 8,
  /// The largest pixel value: each pixel counts the "on" dots of a 4x4 block.
  APUS_DIGITS_MAXIMUM = 16,
};

/// Copies all pixels (1797 x 8 x 8 bytes, row by row, 0...16) to `pixels` and all labels (1797 bytes, 0...9) to `labels`.
void apus_digits_copy(uint8_t *pixels, uint8_t *labels);

#endif
