/* A preload library that makes a fast, roomy disk slow or full, for crash and disk-full tests.
 *
 *   COLLEGIUM_SHIM_FDATASYNC_MS=2000   every fdatasync takes that much longer (milliseconds)
 *   COLLEGIUM_SHIM_ENOSPC_FILE=PATH    while a file of this name exists, every write to a regular file, and every
 *                                      fsync, fdatasync, fallocate and enlarging of one, fails with ENOSPC
 *
 * Both are read once. Sockets and pipes are never touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long delay_ms;
static char *full_flag;

__attribute__((constructor)) static void configure(void) {
  const char *delay = getenv("COLLEGIUM_SHIM_FDATASYNC_MS");
  delay_ms = delay ? atol(delay) : 0;
  const char *flag = getenv("COLLEGIUM_SHIM_ENOSPC_FILE");
  full_flag = flag ? strdup(flag) : NULL; /* a server that sets its process title overwrites its environment */
}

static int disk_is_full(int fd) {
  if (!full_flag || access(full_flag, F_OK) != 0) return 0;
  struct stat about;
  return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

/* Looked up at each call: a few hundred nanoseconds beside a system call, and no order of initialisation to get wrong. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_WHEN_FULL(fd) \
  if (disk_is_full(fd)) {  \
    errno = ENOSPC;        \
    return -1;             \
  }

int fdatasync(int fd) {
  FAIL_WHEN_FULL(fd)
  if (delay_ms > 0) {
    struct timespec left = {delay_ms / 1000, (delay_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
  return REAL(fdatasync)(fd);
}

int fsync(int fd) {
  FAIL_WHEN_FULL(fd)
  return REAL(fsync)(fd);
}

ssize_t write(int fd, const void *buffer, size_t size) {
  FAIL_WHEN_FULL(fd)
  return REAL(write)(fd, buffer, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  FAIL_WHEN_FULL(fd)
  return REAL(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
  FAIL_WHEN_FULL(fd)
  return REAL(pwrite)(fd, buffer, size, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset) {
  FAIL_WHEN_FULL(fd)
  return REAL(pwrite64)(fd, buffer, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  FAIL_WHEN_FULL(fd)
  return REAL(pwritev)(fd, parts, count, offset);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
  if (disk_is_full(fd)) return ENOSPC; /* this one returns the error instead of setting errno */
  return REAL(posix_fallocate)(fd, offset, size);
}

static int enlarges(int fd, off64_t size) {
  struct stat about;
  return fstat(fd, &about) == 0 && size > about.st_size;
}

int ftruncate(int fd, off_t size) {
  if (enlarges(fd, size)) FAIL_WHEN_FULL(fd)
  return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  if (enlarges(fd, size)) FAIL_WHEN_FULL(fd)
  return REAL(ftruncate64)(fd, size);
}
