#define _GNU_SOURCE
#include "capus_files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/xattr.h>

int apus_exchange(int folder, const char *a, const char *b) {
#if defined(__linux__) && defined(RENAME_EXCHANGE)
  return renameat2(folder, a, folder, b, RENAME_EXCHANGE) == 0 ? 0 : errno;
#else
  (void)folder;
  (void)a;
  (void)b;
  return ENOSYS;
#endif
}

int apus_copy_access_list(int from, int to) {
  static const char name[] = "system.posix_acl_access";
  char list[4096];
  ssize_t size = fgetxattr(from, name, list, sizeof list);
  if (size < 0) {
    if (errno != ENODATA && errno != ENOTSUP && errno != ENOSYS) return errno;
    // The other may have one of its folder's.
    (void)fremovexattr(to, name);
    return 0;
  }
  return fsetxattr(to, name, list, (size_t)size, 0) == 0 ? 0 : errno;
}

int apus_open_nameless(const char *folder) {
  int file = open(folder, O_RDWR | O_CLOEXEC | O_TMPFILE, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  // A file system without such files: one whose name is gone at once.
  char name[PATH_MAX];
  if (snprintf(name, sizeof name, "%s/.apus-XXXXXX", folder) >= (int)sizeof name) {
    errno = ENAMETOOLONG;
    return -1;
  }
  file = mkostemp(name, O_CLOEXEC);
  if (file >= 0) unlink(name);
  return file;
}
