// Copies chosen rows of an array. A batch of training data is made by it on the caller's thread: memory bound, and not
// in the way of the compute thread, which meanwhile works on the batch before.
#ifndef APUS_CROWS_H
#define APUS_CROWS_H

#include <stdbool.h>
#include <stddef.h>

/// Copies row `positions[i]` of `source` (`rows` rows of `row_bytes` bytes) to row i of `target`, for all i < count.
/// False, with part of the target written, when a position is outside 0 ..< rows.
bool apus_gather_rows(
    void *target, const void *source, size_t row_bytes, ptrdiff_t rows, const ptrdiff_t *positions, size_t count);

#endif
