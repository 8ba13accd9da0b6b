/*
 * Stands between a program and the C library (LD_PRELOAD), counts the calls that change what is in one
 * directory, and does harm at one of them. strace could inject signals and errors, too, but counts
 * threads apart and kinds of calls apart, and cannot tear a write; and a run costs it seconds.
 *
 * Counted are: write, writev, pwrite, fsync, fdatasync, ftruncate, rename, unlink, rmdir, mkdir, and
 * open where it makes or empties a file. shim.ts says what the variables mean.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* EXT4_IOC_SHUTDOWN, with EXT4_GOING_FLAGS_NOLOGFLUSH: what is not on the disk yet never will be. */
#define SHUTDOWN _IOR('X', 125, unsigned int)
#define NO_LOG_FLUSH 2

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

enum harm { NOTHING, KILL, TEAR, ERROR, POWER, POWER_ERROR };

static enum harm harm;
static int error_number;
static long at;
static int syncs_only;
static int short_writes;
static int no_syncs;
static long slow_ms;
static char slow_while[PATH_MAX];
static char directory[PATH_MAX];
static size_t directory_length;
static int log_fd = -1;
static int mount_fd = -1;
static long count;
static unsigned int chance = 2463534242u;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? "" : value;
}

__attribute__((constructor)) static void begin(void) {
  const char *kind = variable("FAULT_KIND");
  harm = !strcmp(kind, "kill") ? KILL
    : !strcmp(kind, "tear") ? TEAR
    : !strcmp(kind, "error") ? ERROR
    : !strcmp(kind, "power") ? POWER
    : !strcmp(kind, "power-error") ? POWER_ERROR
    : NOTHING;
  error_number = !strcmp(variable("FAULT_ERROR"), "ENOSPC") ? ENOSPC : EIO;
  at = atol(variable("FAULT_AT"));
  syncs_only = !strcmp(variable("FAULT_CALLS"), "syncs");
  short_writes = *variable("FAULT_SHORT_WRITES") != 0;
  no_syncs = *variable("FAULT_NO_SYNCS") != 0;
  slow_ms = atol(variable("FAULT_SLOW_MS"));
  strncpy(slow_while, variable("FAULT_SLOW_WHILE"), sizeof slow_while - 1);
  strncpy(directory, variable("FAULT_DIRECTORY"), sizeof directory - 1);
  directory_length = strlen(directory);
  const char *log = variable("FAULT_LOG");
  if (*log) log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const char *mount = variable("FAULT_MOUNT");
  if (*mount) mount_fd = open(mount, O_RDONLY | O_CLOEXEC);
  for (const char *seed = variable("FAULT_SEED"); *seed; seed++) chance = chance * 31 + (unsigned char)*seed;
}

static int is_inside(const char *path) {
  if (directory_length == 0 || strncmp(path, directory, directory_length) != 0) return 0;
  return path[directory_length] == '/' || path[directory_length] == 0;
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_inside(path);
}

/* xorshift: the same seed gives the same run of numbers. */
static unsigned int next_chance(void) {
  chance ^= chance << 13;
  chance ^= chance >> 17;
  chance ^= chance << 5;
  return chance;
}

/* Cuts the power of a mounted file system; for those who load this library as one. */
int cut_power_of(const char *mount) {
  unsigned int flags = NO_LOG_FLUSH;
  int fd = open(mount, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = ioctl(fd, SHUTDOWN, &flags);
  close(fd);
  return result;
}

static void cut_power(void) {
  unsigned int flags = NO_LOG_FLUSH;
  if (mount_fd < 0 || ioctl(mount_fd, SHUTDOWN, &flags) != 0) {
    static const char text[] = "shim: the power cannot be cut\n";
    REAL(write);
    real(STDERR_FILENO, text, sizeof text - 1);
  }
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

struct verdict {
  int fails;      /* return -1 with this errno; 0 for none */
  size_t length;  /* how much of a write is carried out */
  int then_die;
  int skipped;    /* a sync that is not carried out */
};

/* Counts a call, and says what is to be done with it. Does not return where the process has to end first. */
static struct verdict judge(const char *name, const char *path, size_t length, int is_sync, int is_write) {
  struct verdict verdict = { 0, length, 0, is_sync && no_syncs };
  pthread_mutex_lock(&mutex);
  int counts = !syncs_only || is_sync;
  long number = counts ? ++count : 0;
  int hits = counts && number == at;
  if (log_fd >= 0 && counts) {
    char line[PATH_MAX + 128];
    const char *shown = path[directory_length] == '/' ? path + directory_length + 1 : ".";
    int size = snprintf(line, sizeof line, "%ld %s %s %zu%s\n", number, name, shown, length, hits ? " HIT" : "");
    REAL(write);
    if (real(log_fd, line, size) < 0) abort();
  }
  switch (harm) {
    case KILL:
      if (hits) die();
      break;
    case TEAR:
      if (!hits) break;
      if (!is_write || length < 2) die();
      verdict.length = length / 2;
      verdict.then_die = 1;
      break;
    case ERROR:
      if (hits) verdict.fails = error_number;
      break;
    case POWER:
      if (!hits) break;
      cut_power();
      die();
      break;
    case POWER_ERROR:
      if (!hits) break;
      cut_power();
      verdict.fails = EIO;
      break;
    case NOTHING:
      break;
  }
  if (short_writes && is_write && length > 1 && next_chance() % 2 == 0) {
    verdict.length = 1 + next_chance() % (length - 1);
  }
  pthread_mutex_unlock(&mutex);
  return verdict;
}

#define FAIL_IF(verdict) \
  if ((verdict).fails) { \
    errno = (verdict).fails; \
    return -1; \
  }

#define WRITE_LIKE(call) \
  char path[PATH_MAX]; \
  if (!path_of(fd, path)) return call(length); \
  struct verdict verdict = judge(name, path, length, 0, 1); \
  FAIL_IF(verdict) \
  ssize_t result = call(verdict.length); \
  if (verdict.then_die) die(); \
  return result

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write);
  static const char name[] = "write";
#define CALL(n) real(fd, bytes, n)
  WRITE_LIKE(CALL);
#undef CALL
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t position) {
  REAL(pwrite64);
  static const char name[] = "pwrite";
#define CALL(n) real(fd, bytes, n, position)
  WRITE_LIKE(CALL);
#undef CALL
}

ssize_t writev(int fd, const struct iovec *parts, int part_count) {
  REAL(writev);
  char path[PATH_MAX];
  if (!path_of(fd, path)) return real(fd, parts, part_count);
  size_t length = 0;
  for (int i = 0; i < part_count; i++) length += parts[i].iov_len;
  struct verdict verdict = judge("writev", path, length, 0, 1);
  FAIL_IF(verdict)
  if (verdict.length == length) return real(fd, parts, part_count);
  /* A part of the first piece is a part of the whole. */
  struct iovec piece = parts[0];
  if (piece.iov_len > verdict.length) piece.iov_len = verdict.length;
  ssize_t result = real(fd, &piece, 1);
  if (verdict.then_die) die();
  return result;
}

/* A sync takes longer while a file is there. */
static void dawdle(void) {
  if (slow_ms > 0 && access(slow_while, F_OK) == 0) usleep((useconds_t)slow_ms * 1000);
}

#define SYNC_LIKE(function) \
  int function(int fd) { \
    REAL(function); \
    char path[PATH_MAX]; \
    if (!path_of(fd, path)) return real(fd); \
    struct verdict verdict = judge(#function, path, 0, 1, 0); \
    FAIL_IF(verdict) \
    dawdle(); \
    return verdict.skipped ? 0 : real(fd); \
  }

SYNC_LIKE(fsync)
SYNC_LIKE(fdatasync)

#define TRUNCATE_LIKE(function, type) \
  int function(int fd, type length) { \
    REAL(function); \
    char path[PATH_MAX]; \
    if (!path_of(fd, path)) return real(fd, length); \
    struct verdict verdict = judge("ftruncate", path, (size_t)length, 0, 0); \
    FAIL_IF(verdict) \
    return real(fd, length); \
  }

TRUNCATE_LIKE(ftruncate, off_t)
TRUNCATE_LIKE(ftruncate64, off64_t)

#define PATH_LIKE(function, parameters, arguments) \
  int function parameters { \
    REAL(function); \
    if (!is_inside(path)) return real arguments; \
    struct verdict verdict = judge(#function, path, 0, 0, 0); \
    FAIL_IF(verdict) \
    return real arguments; \
  }

PATH_LIKE(rename, (const char *from, const char *path), (from, path))
PATH_LIKE(unlink, (const char *path), (path))
PATH_LIKE(rmdir, (const char *path), (path))
PATH_LIKE(mkdir, (const char *path, mode_t mode), (path, mode))

#define OPEN_LIKE(function) \
  int function(const char *path, int flags, ...) { \
    REAL(function); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (!(flags & (O_CREAT | O_TRUNC)) || !is_inside(path)) return real(path, flags, mode); \
    struct verdict verdict = judge("open", path, 0, 0, 0); \
    FAIL_IF(verdict) \
    return real(path, flags, mode); \
  }

OPEN_LIKE(open)
OPEN_LIKE(open64)
