// Shims over system calls that Swift's C library module does not offer.
#ifndef CAPUS_FILES_H
#define CAPUS_FILES_H

// Swaps two existing paths in one atomic step. 0, or an errno value (EINVAL, ENOSYS: the file system can't).
int apus_exchange_paths(const char *_Nonnull a, const char *_Nonnull b);

#endif
