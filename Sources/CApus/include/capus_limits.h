// How much memory this process may take: what its limits and its container leave, not only what the machine has.
#ifndef CAPUS_LIMITS_H
#define CAPUS_LIMITS_H
#include <stdbool.h>
#include <stddef.h>

// Bytes of address space that may still be mapped (RLIMIT_AS less what is mapped); SIZE_MAX without a limit.
size_t apus_bytes_mappable(void);
// Bytes the process may hold in all: the machine's memory and swap, or less where RLIMIT_AS, RLIMIT_DATA or a control
// group says so. Read once.
size_t apus_bytes_allowed(void);
// Whether so many bytes may still be mapped, and touched in good part. To be asked before a library is loaded that
// waits for ever, or ends the process, where it is refused memory.
bool apus_has_room(size_t bytes);
// Processors the system has, at least 1: libraries start a thread on each.
int apus_processors(void);

#endif
