/* Preloaded into the agent: one call of a kind is held for a while, as by a disk that does not answer.
 *
 * HOLD_CALL names the function, HOLD_WHEN says which of its calls (from 1) among those whose path contains
 * HOLD_PATH, HOLD_SECONDS how long. The file HOLD_MARK appears when the call is held; when HOLD_UNTIL appears, it is
 * let go. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void hold(const char *call, const char *path)
{
    static atomic_int calls;
    const char *wanted = getenv("HOLD_CALL"), *part = getenv("HOLD_PATH");
    if (!wanted || strcmp(wanted, call) || (part && !strstr(path, part)))
        return;
    if (atomic_fetch_add(&calls, 1) + 1 != atoi(getenv("HOLD_WHEN")))
        return;
    close(creat(getenv("HOLD_MARK"), 0600));
    const char *until = getenv("HOLD_UNTIL");
    const struct timespec tick = {0, 5000000};
    for (double left = atof(getenv("HOLD_SECONDS")); left > 0; left -= 0.005) {
        if (until && access(until, F_OK) == 0)
            return;
        nanosleep(&tick, NULL);
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int rename(const char *from, const char *to)
{
    hold("rename", from);
    return NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    hold("unlink", path);
    return NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    hold("mkdir", path);
    return NEXT(mkdir)(path, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    hold("open", path);
    return NEXT(open64)(path, flags, mode);
}
