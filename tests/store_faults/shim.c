/* Makes the Nth call on a file below FAULT_DIR fail, or kills the process there. Linux; LD_PRELOAD.
 *
 * FAULT_CALLS: "change" counts what changes files, "read" what reads them.
 * FAULT_MODE:  "kill" (of a write, the first half is still done), "once" or "from" (FAULT_ERRNO).
 * FAULT_AT:    N, from 1.
 * FAULT_FIRED: a file that is made when there was such a call.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static int below(const char *path) {
    const char *dir = setting("FAULT_DIR");
    return *dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

/* 0: go on. 1: fail with errno. 2: end the process, for writes after half of them. */
static int fault(const char *kind) {
    if (strcmp(setting("FAULT_CALLS"), kind)) return 0;
    long at = atol(setting("FAULT_AT")), now = atomic_fetch_add(&calls, 1) + 1;
    const char *mode = setting("FAULT_MODE");
    if (now == at) {
        int fd = syscall(SYS_openat, AT_FDCWD, setting("FAULT_FIRED"), O_CREAT | O_WRONLY, 0600);
        if (fd >= 0) syscall(SYS_close, fd);
    }
    if (now < at || (now > at && strcmp(mode, "from"))) return 0;
    if (!strcmp(mode, "kill")) return 2;
    errno = atoi(setting("FAULT_ERRNO"));
    return 1;
}

static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)

#define PLAIN(is_ours, kind, failed) \
    if (is_ours) switch (fault(kind)) { case 1: return failed; case 2: end(); }

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (ours(fd)) switch (fault("change")) {
        case 1: return -1;
        case 2: real(fd, bytes, count / 2); end();
    }
    return real(fd, bytes, count);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *bytes, size_t count, off_t at) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        if (ours(fd)) switch (fault("change")) { \
            case 1: return -1; \
            case 2: real(fd, bytes, count / 2, at); end(); \
        } \
        return real(fd, bytes, count, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

int fsync(int fd) { REAL(int, "fsync", int); PLAIN(ours(fd), "change", -1) return real(fd); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); PLAIN(ours(fd), "change", -1) return real(fd); }
int ftruncate(int fd, off_t size) { REAL(int, "ftruncate", int, off_t); PLAIN(ours(fd), "change", -1) return real(fd, size); }
int ftruncate64(int fd, off_t size) { REAL(int, "ftruncate64", int, off_t); PLAIN(ours(fd), "change", -1) return real(fd, size); }
int fchmod(int fd, mode_t mode) { REAL(int, "fchmod", int, mode_t); PLAIN(ours(fd), "change", -1) return real(fd, mode); }
int unlink(const char *path) { REAL(int, "unlink", const char *); PLAIN(below(path), "change", -1) return real(path); }
int rename(const char *from, const char *to) { REAL(int, "rename", const char *, const char *); PLAIN(below(to), "change", -1) return real(from, to); }
int mkdir(const char *path, mode_t mode) { REAL(int, "mkdir", const char *, mode_t); PLAIN(below(path), "change", -1) return real(path, mode); }

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    PLAIN(ours(to), "change", -1)
    PLAIN(ours(from), "read", -1)
    return real(from, from_at, to, to_at, count, flags);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        mode_t mode = 0; \
        if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        PLAIN((flags & O_CREAT) && below(path), "change", -1) \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

ssize_t read(int fd, void *bytes, size_t count) { REAL(ssize_t, "read", int, void *, size_t); PLAIN(ours(fd), "read", -1) return real(fd, bytes, count); }
#define PREAD(name) \
    ssize_t name(int fd, void *bytes, size_t count, off_t at) { \
        REAL(ssize_t, #name, int, void *, size_t, off_t); \
        PLAIN(ours(fd), "read", -1) \
        return real(fd, bytes, count, at); \
    }
PREAD(pread)
PREAD(pread64)
