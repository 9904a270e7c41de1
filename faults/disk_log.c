/* A disk that keeps a log: every write, truncation and sync of the database and its write-ahead log, in order, goes to
   the file DISK_LOG; when the 4 bytes of the file DISK_FAIL say n, the n-th operation from then on fails with EIO.
   gcc -shared -fPIC -o disk_log.so disk_log.c -ldl -lpthread */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static volatile int32_t *fail_at;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("DISK_LOG"), *fail = getenv("DISK_FAIL");
  if (path) log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  int control = fail ? open(fail, O_RDWR | O_CLOEXEC) : -1;
  if (control >= 0) {
    void *map = mmap(0, 4, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
    if (map != MAP_FAILED) fail_at = map;
  }
}

/* 'd' for the database, 'w' for its write-ahead log, 0 for any other file. */
static char kind(int file) {
  char link[40], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 4) return 0;
  path[n] = 0;
  if (!strcmp(path + n - 3, ".db")) return 'd';
  return n > 7 && !strcmp(path + n - 7, ".db-wal") ? 'w' : 0;
}

static int fails(char file) {
  if (!file || !fail_at || *fail_at <= 0 || --*fail_at > 0) return 0;
  errno = EIO;
  return 1;
}

static void note(char op, char file, int64_t offset, const void *data, uint32_t length) {
  struct { char op, file; uint16_t none; uint32_t length; int64_t offset; } head = {op, file, 0, length, offset};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
  if (file && log_file >= 0 && writev(log_file, parts, length ? 2 : 1) < 0) abort();
}

#define ORDERED(type, name, file, call, noted)                           \
  static __typeof__(&name) real;                                         \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);          \
  char which = kind(file);                                               \
  if (!which) return call;                                               \
  pthread_mutex_lock(&order);                                            \
  type result = fails(which) ? -1 : call;                                \
  if (result >= 0) noted;                                                \
  pthread_mutex_unlock(&order);                                          \
  return result;

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset) {
  ORDERED(ssize_t, pwrite64, file, real(file, data, length, offset), note('w', which, offset, data, result))
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset) {
  ORDERED(ssize_t, pwrite, file, real(file, data, length, offset), note('w', which, offset, data, result))
}

int ftruncate64(int file, off64_t size) {
  ORDERED(int, ftruncate64, file, real(file, size), note('t', which, size, 0, 0))
}

int ftruncate(int file, off_t size) { ORDERED(int, ftruncate, file, real(file, size), note('t', which, size, 0, 0)) }

int fdatasync(int file) { ORDERED(int, fdatasync, file, real(file), note('s', which, 0, 0, 0)) }

int fsync(int file) { ORDERED(int, fsync, file, real(file), note('s', which, 0, 0, 0)) }
