// Return addresses of the calling thread's stack: what an error is found again by.
#ifndef CAPUS_STACK_H
#define CAPUS_STACK_H
#include <stdint.h>

// A place on the stack beyond which lie the frames of the caller and its callers; nearer are those of what it calls.
uintptr_t apus_stack_mark(void);

// Writes return addresses, the innermost first, of the frames on this side of `mark` (0: of all). At most `limit`.
// Returns how many. About 0.2 µs a frame.
int apus_return_addresses(uintptr_t *_Nonnull addresses, int limit, uintptr_t mark);

#endif
