/*
 * Faults at an exact call, for a program that knows nothing of it: LD_PRELOAD this.
 *
 * Every call that changes the disk (class `disk`: regular files, folders, names), sends to a server (class `net`: TCP
 * sockets) or takes a descriptor (class `open`: any file, any socket, also what `disk` counts as well) is counted, in all
 * threads with one counter a class, and logged. At the chosen number something happens.
 * Standard input, output and error are left alone. `coverage.py` holds the log against what strace sees.
 *
 *   FAULT_LOG    file that gets a line per call: class, number, thread, call, path, and FAULT where it struck
 *   FAULT_CLASS  disk, net or open
 *   FAULT_AT     the number, from 1; `7+` from the seventh on; of those that can be done by halves for `tear` and `short`
 *   FAULT_CALL   only calls of this name count for FAULT_AT,
 *   FAULT_PATH   and only those whose path has this in it
 *   FAULT        what happens there:
 *     kill       SIGKILL before the call
 *     after      SIGKILL after the call
 *     tear       half of a write or send is done, then SIGKILL
 *     data       a power cut: SIGKILL, and what no fsync of a file has made lasting is gone from it; names stay
 *     names      a power cut: as `data`, and names made, moved or removed since the last fsync of their folder are as before
 *     short      half of a write is done and reported
 *     lie        nothing of a write is done, and one byte is reported
 *     hold       it waits until the file FAULT_UNTIL is there, but FAULT_SECONDS at the most; FAULT_MARK appears before
 *     a number   the call fails with this errno and does nothing
 *
 *   FAULT_SLOW   microseconds that every fdatasync takes longer, as on a slow disk
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum class { NONE, DISK, NET, OPEN };
enum action { NOTHING, KILL, AFTER, TEAR, DATA, NAMES, SHORT, LIE, HOLD, FAIL };
static const char *const classes[] = {"", "disk", "net", "open"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counted[4], eligible;
static int log_fd = -1;
static enum class fault_class;
static enum action fault_action;
static long fault_at;
static bool fault_on;
static int fault_errno, slow;
static const char *only_call, *only_path;

/* Files that were written, and how much of each is lasting. */
static struct unsynced {
    dev_t device;
    ino_t inode;
    int fd;
    off_t lasting;
} files[256];
static int file_count;

/* Names that no fsync of their folder has made lasting yet, in the order of their making. */
static struct unsynced_name {
    char path[512], before[512], kept[512]; /* what it was called before, and what was there: empty if nothing */
    dev_t device;
    ino_t inode;
} names[512];
static int name_count, kept_count;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("FAULT_LOG"), *at = getenv("FAULT_AT"), *what = getenv("FAULT"), *of = getenv("FAULT_CLASS");
    if (log) {
        int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        /* High, so that the program's own descriptors have the numbers that they always have. */
        log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 700);
        syscall(SYS_close, fd);
    }
    const char *microseconds = getenv("FAULT_SLOW");
    slow = microseconds ? atoi(microseconds) : 0;
    if (!at || !what || !of) return;
    char *rest;
    fault_at = strtol(at, &rest, 10);
    fault_on = *rest == '+';
    fault_class = !strcmp(of, "net") ? NET : !strcmp(of, "open") ? OPEN : DISK;
    only_call = getenv("FAULT_CALL");
    only_path = getenv("FAULT_PATH");
    fault_errno = atoi(what);
    fault_action = !strcmp(what, "kill") ? KILL : !strcmp(what, "after") ? AFTER : !strcmp(what, "tear") ? TEAR
        : !strcmp(what, "data") ? DATA : !strcmp(what, "names") ? NAMES : !strcmp(what, "short") ? SHORT
        : !strcmp(what, "lie") ? LIE : !strcmp(what, "hold") ? HOLD : fault_errno ? FAIL : NOTHING;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static enum class class_of(int fd) {
    struct stat stat;
    if (fd <= STDERR_FILENO || fd == log_fd || fstat(fd, &stat)) return NONE;
    if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode)) return DISK;
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (!S_ISSOCK(stat.st_mode) || getsockname(fd, (struct sockaddr *)&name, &length)) return NONE;
    return name.ss_family == AF_INET || name.ss_family == AF_INET6 ? NET : NONE;
}

static struct unsynced *file_of(int fd, off_t *size) {
    struct stat stat;
    if ((fault_action != DATA && fault_action != NAMES) || fstat(fd, &stat) || !S_ISREG(stat.st_mode)) return NULL;
    *size = stat.st_size;
    for (int i = 0; i < file_count; i++)
        if (files[i].device == stat.st_dev && files[i].inode == stat.st_ino) return &files[i];
    if (file_count == sizeof files / sizeof *files) abort();
    /* What was there before us is lasting. */
    files[file_count] = (struct unsynced){stat.st_dev, stat.st_ino, fcntl(fd, F_DUPFD_CLOEXEC, 701), stat.st_size};
    return &files[file_count++];
}

static void lose_data(void) {
    for (int i = 0; i < file_count; i++) {
        struct stat stat;
        if (!fstat(files[i].fd, &stat) && stat.st_size > files[i].lasting)
            syscall(SYS_ftruncate, files[i].fd, files[i].lasting);
    }
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at) {
    (void)stat, (void)at;
    return syscall(SYS_unlinkat, AT_FDCWD, path, kind == FTW_DP ? AT_REMOVEDIR : 0);
}

static void lose_names(void) {
    while (name_count) {
        struct unsynced_name *name = &names[--name_count];
        if (*name->before) syscall(SYS_rename, name->path, name->before);
        else nftw(name->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (*name->kept) syscall(SYS_rename, name->kept, name->path);
    }
}

static bool folder_of(const char *path, struct stat *stat_of_folder) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) return false;
    *slash = 0;
    return stat(folder, stat_of_folder) == 0;
}

/* Before a name is made, moved (from `before`) or removed: what is there is kept under another name. */
static struct unsynced_name *remember(const char *path, const char *before) {
    struct stat folder;
    if (fault_action != NAMES || *path != '/' || !folder_of(path, &folder)) return NULL;
    pthread_mutex_lock(&lock);
    if (name_count == sizeof names / sizeof *names) abort();
    struct unsynced_name *name = &names[name_count];
    *name = (struct unsynced_name){.device = folder.st_dev, .inode = folder.st_ino};
    snprintf(name->path, sizeof name->path, "%s", path);
    snprintf(name->before, sizeof name->before, "%s", before ? before : "");
    snprintf(name->kept, sizeof name->kept, "%.480s.kept-%d", path, ++kept_count);
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, name->kept, 0)) *name->kept = 0;
    pthread_mutex_unlock(&lock);
    return name;
}

/* After it: it counts until the folder is synced, if it was done. */
static void done(struct unsynced_name *name, bool well) {
    if (!name) return;
    if (well) name_count++;
    else if (*name->kept) syscall(SYS_unlink, name->kept);
}

/* What is lasting is forgotten. */
static void lasting(const struct stat *folder) {
    int left = 0;
    for (int i = 0; i < name_count; i++) {
        if (names[i].device == folder->st_dev && names[i].inode == folder->st_ino) {
            if (*names[i].kept) syscall(SYS_unlink, names[i].kept);
        } else if (left++ != i) names[left - 1] = names[i];
    }
    name_count = left;
}

static void hold(void) {
    close(creat(getenv("FAULT_MARK"), 0600));
    const char *until = getenv("FAULT_UNTIL");
    for (double left = atof(getenv("FAULT_SECONDS")); left > 0 && access(until, F_OK); left -= 0.005) usleep(5000);
}

/* Counts a call and says what shall become of it; the lock keeps count, log and fate together. */
static enum action count(enum class class, const char *call, int fd, const char *path, bool halves) {
    if (class == NONE) return NOTHING;
    char link[64], name[PATH_MAX], line[PATH_MAX + 128];
    pthread_mutex_lock(&lock);
    long number = ++counted[class];
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, name, sizeof name - 1);
        name[length < 0 ? 0 : length] = 0;
        path = name;
    }
    bool by_halves = fault_action == TEAR || fault_action == SHORT || fault_action == LIE;
    bool counts = class == fault_class && (halves || !by_halves) && (!only_call || !strcmp(call, only_call))
        && (!only_path || strstr(path, only_path));
    long turn = counts ? ++eligible : 0;
    bool strikes = counts && (turn == fault_at || (fault_on && turn > fault_at));
    int length = snprintf(line, sizeof line, "%s %ld %ld %s %s%s\n", classes[class], number,
        (long)syscall(SYS_gettid), call, path, strikes ? " FAULT" : "");
    if (log_fd >= 0) syscall(SYS_write, log_fd, line, length);
    off_t size;
    if (fd >= 0 && class == DISK && strstr(call, "write")) file_of(fd, &size);
    enum action action = strikes ? fault_action : NOTHING;
    if (action == KILL) die();
    if (action == DATA || action == NAMES) lose_data();
    if (action == NAMES) lose_names();
    if (action == DATA || action == NAMES) die();
    pthread_mutex_unlock(&lock);
    if (action == HOLD) hold();
    if (action == FAIL) errno = fault_errno;
    return action;
}

#define NEXT(name) static __typeof__(name) *next; if (!next) next = dlsym(RTLD_NEXT, #name)

/* For calls that cannot be done by halves. */
#define WHOLE(name, class, fd, path, call, ...)                       \
    NEXT(name);                                                       \
    enum action action = count(class, call, fd, path, false);                \
    if (action == FAIL) return -1;                                    \
    __typeof__(next(__VA_ARGS__)) result = next(__VA_ARGS__);         \
    if (action == AFTER) die();                                       \
    return result

/* As WHOLE, for names: `path` is made, or moved from `before`, or removed. */
#define NAMED(name, path, before, call, ...)                          \
    NEXT(name);                                                       \
    enum action action = count(DISK, call, -1, path, false);                 \
    if (action == FAIL) return -1;                                    \
    struct unsynced_name *unsynced = remember(path, before);          \
    int result = next(__VA_ARGS__);                                   \
    done(unsynced, result == 0);                                      \
    if (action == AFTER) die();                                       \
    return result

/* For calls that can: `half` is done instead, and reported or the end. */
#define PARTIAL(name, fd, call, half, ...)                            \
    NEXT(name);                                                       \
    enum action action = count(class_of(fd), call, fd, NULL, true);         \
    if (action == FAIL) return -1;                                    \
    if (action == SHORT) return half;                                 \
    if (action == LIE) return 1;                                      \
    if (action == TEAR) { half; die(); }                              \
    ssize_t result = next(__VA_ARGS__);                               \
    if (action == AFTER) die();                                       \
    return result

static size_t half_of(size_t length) { return length > 1 ? length / 2 : length; }

ssize_t write(int fd, const void *data, size_t length) {
    PARTIAL(write, fd, "write", next(fd, data, half_of(length)), fd, data, length);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    PARTIAL(pwrite64, fd, "pwrite64", next(fd, data, half_of(length), at), fd, data, length, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count_of_parts) {
    PARTIAL(writev, fd, "writev", syscall(SYS_write, fd, parts->iov_base, half_of(parts->iov_len)), fd, parts, count_of_parts);
}
ssize_t send(int fd, const void *data, size_t length, int flags) {
    /* glibc makes it a sendto. */
    PARTIAL(send, fd, "sendto", next(fd, data, half_of(length), flags), fd, data, length, flags);
}
ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length) {
    PARTIAL(sendto, fd, "sendto", next(fd, data, half_of(length), flags, to, to_length),
        fd, data, length, flags, to, to_length);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    PARTIAL(sendmsg, fd, "sendmsg", syscall(SYS_sendto, fd, message->msg_iov->iov_base, half_of(message->msg_iov->iov_len), flags, NULL, 0),
        fd, message, flags);
}
ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *at, size_t length, unsigned flags) {
    PARTIAL(copy_file_range, fd, "copy_file_range", next(from, from_at, fd, at, half_of(length), flags),
        from, from_at, fd, at, length, flags);
}
ssize_t sendfile64(int fd, int from, off64_t *at, size_t length) {
    PARTIAL(sendfile64, fd, "sendfile", next(fd, from, at, half_of(length)), fd, from, at, length);
}

static int synced(int fd, int result) {
    off_t size;
    struct stat stat;
    pthread_mutex_lock(&lock);
    struct unsynced *file = result ? NULL : file_of(fd, &size);
    if (file) file->lasting = size;
    if (!result && !fstat(fd, &stat) && S_ISDIR(stat.st_mode)) lasting(&stat);
    pthread_mutex_unlock(&lock);
    return result;
}
#define SYNC(name)                                                    \
    NEXT(name);                                                       \
    enum action action = count(class_of(fd), #name, fd, NULL, false);        \
    if (action == FAIL) return -1;                                    \
    int result = synced(fd, next(fd));                                \
    if (action == AFTER) die();                                       \
    return result
int fsync(int fd) { SYNC(fsync); }
int fdatasync(int fd) {
    usleep(slow);
    SYNC(fdatasync);
}

int ftruncate64(int fd, off64_t length) { WHOLE(ftruncate64, class_of(fd), fd, NULL, "ftruncate", fd, length); }
int fchmod(int fd, mode_t mode) { WHOLE(fchmod, class_of(fd), fd, NULL, "fchmod", fd, mode); }
int chmod(const char *path, mode_t mode) { WHOLE(chmod, DISK, -1, path, "chmod", path, mode); }
int rename(const char *from, const char *to) { NAMED(rename, to, from, "rename", from, to); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    NAMED(renameat2, to, from, "renameat2", a, from, b, to, flags);
}
int link(const char *from, const char *to) { NAMED(link, to, NULL, "link", from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    NAMED(linkat, to, NULL, "linkat", a, from, b, to, flags);
}
int symlink(const char *target, const char *path) { NAMED(symlink, path, NULL, "symlink", target, path); }
int unlink(const char *path) { NAMED(unlink, path, NULL, "unlink", path); }
int unlinkat(int folder, const char *path, int flags) { NAMED(unlinkat, path, NULL, "unlinkat", folder, path, flags); }
int rmdir(const char *path) { NAMED(rmdir, path, NULL, "rmdir", path); }
int mkdir(const char *path, mode_t mode) { NAMED(mkdir, path, NULL, "mkdir", path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { NAMED(mkdirat, path, NULL, "mkdirat", folder, path, mode); }

/* A change of the disk is only what creates; any may find that there are too many open files. */
#define OPEN(name, ...)                                               \
    mode_t mode = 0;                                                  \
    if (flags & (O_CREAT | __O_TMPFILE)) {                            \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }                                                                 \
    NEXT(name);                                                       \
    if (count(OPEN, "openat", -1, path, false) == FAIL) return -1;    \
    bool creates = flags & (O_CREAT | O_TRUNC);                       \
    enum action action = count(creates ? DISK : NONE, "openat", -1, path, false); \
    if (action == FAIL) return -1;                                    \
    struct stat stat;                                                 \
    bool new = creates && lstat(path, &stat) && errno == ENOENT;      \
    struct unsynced_name *unsynced = new ? remember(path, NULL) : NULL; \
    int result = next(__VA_ARGS__, mode);                             \
    done(unsynced, result >= 0);                                      \
    if (action == AFTER) die();                                       \
    return result
int open64(const char *path, int flags, ...) { OPEN(open64, path, flags); }
int open(const char *path, int flags, ...) { OPEN(open, path, flags); }
int openat64(int folder, const char *path, int flags, ...) { OPEN(openat64, folder, path, flags); }
int openat(int folder, const char *path, int flags, ...) { OPEN(openat, folder, path, flags); }
int socket(int domain, int type, int protocol) { WHOLE(socket, OPEN, -1, "socket", "socket", domain, type, protocol); }
