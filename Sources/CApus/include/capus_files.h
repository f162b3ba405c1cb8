// Shims over system calls that Swift's C library module does not offer.
#ifndef CAPUS_FILES_H
#define CAPUS_FILES_H

// Swaps two names of an open folder in one atomic step. 0, or an errno value (EINVAL, ENOSYS: the file system can't).
int apus_exchange(int folder, const char *_Nonnull a, const char *_Nonnull b);

// Gives one open file the access control list of another, or none. 0, or an errno value.
int apus_copy_access_list(int from, int to);

// Opens a new file without a name, for its owner alone, on the file system of a folder. Negative, with errno set, when
// it can't.
int apus_open_nameless(const char *_Nonnull folder);

#endif
