// Shims over system calls that Swift's C library module does not offer.
#ifndef CAPUS_FILES_H
#define CAPUS_FILES_H

// Swaps two names of an open folder in one atomic step. 0, or an errno value (EINVAL, ENOSYS: the file system can't).
int apus_exchange(int folder, const char *_Nonnull a, const char *_Nonnull b);

// Gives one open file the access control list of another, or none. 0, or an errno value.
int apus_copy_access_list(int from, int to);

#endif
