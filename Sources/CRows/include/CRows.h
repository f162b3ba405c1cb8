// Moves the bytes of data sets: rows of arrays, elements in the other byte order, channels of images. A batch of training data is made by it on the caller's thread: memory bound, and not
// in the way of the compute thread, which meanwhile works on the batch before.
#ifndef APUS_CROWS_H
#define APUS_CROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Copies row `positions[i]` of `source` (`rows` rows of `row_bytes` bytes) to row i of `target`, for all i < count.
/// False, with part of the target written, when a position is outside 0 ..< rows.
bool apus_gather_rows(
    void *target, const void *source, size_t row_bytes, ptrdiff_t rows, const ptrdiff_t *positions, size_t count);

/// Reverses the bytes of each of `count` elements of `width` bytes, in place.
void apus_swap_elements(void *elements, size_t count, size_t width);

/// Sorts the channels of an image: sample c of pixel i (`source`, pixels interleaved) goes to place c·pixels + i of
/// `target`, as one byte, or as two where `is_wide`.
void apus_split_channels(void *target, const uint16_t *source, size_t pixels, size_t channels, bool is_wide);

#endif
