/* An evaluator that takes no time, in both modes of the agent.
 *
 *     evaluator FILE        says a number and ends
 *     evaluator --stream    answers each line; the same values of a strategy have the same fitness every night
 *     evaluator --drift     the same with another fitness each night, as of data that go on
 *     evaluator --bare N    starts itself with --stream, and asks N times over two pipes what the agent would ask:
 *                           prints nanoseconds per answer, which nobody can beat who asks by pipes */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char line[1 << 16];

/* The next line, whole, as it comes: neither side sends a second one before it has its answer. */
static size_t next(int from) {
    size_t length = 0;
    while (length == 0 || line[length - 1] != '\n') {
        ssize_t got = read(from, line + length, sizeof line - length);
        if (got <= 0)
            return 0;
        length += got;
    }
    return length;
}

static int stream(const char *until) {
    char answer[256];
    size_t length;
    while ((length = next(0)) > 0) {
        unsigned sum = 0;
        const char *from = memmem(line, length, "\"strategy\":", 11), *to = memmem(line, length, until, strlen(until));
        if (!from || !to)
            return 1;
        for (const char *at = from; at < to; at++)
            sum = sum * 31 + (unsigned char)*at;
        /* The line begins with {"id":"…", and so does the answer. */
        const char *end = memchr(line + 7, '"', length - 7);
        if (strncmp(line, "{\"id\":\"", 7) || !end)
            return 1;
        int size = snprintf(answer, sizeof answer, "%.*s\",\"fitness\":%u.5}\n", (int)(end - line), line, sum % 1000);
        if (write(1, answer, size) != size)
            return 1;
    }
    return 0;
}

static int bare(const char *self, long count) {
    static const char request[] =
        "{\"id\":\"exit_mut_000042\",\"candidate\":\"/var/lib/mutation-agent/evaluating/exit_mut_000042.py\","
        "\"strategy\":\"strategies/momentum.py\",\"parameters\":{\"stop_loss_pct\":0.12},\"seed\":4503599627370496}\n";
    int to[2], from[2];
    struct timespec began, ended;
    if (pipe(to) || pipe(from))
        return 2;
    if (vfork() == 0) {
        dup2(to[0], 0), dup2(from[1], 1);
        close(to[0]), close(to[1]), close(from[0]), close(from[1]);
        execl(self, self, "--stream", (char *)NULL);
        _exit(127);
    }
    for (long at = -1; at < count; at++) {
        if (at == 0)
            clock_gettime(CLOCK_MONOTONIC, &began);
        if (write(to[1], request, sizeof request - 1) < 0 || next(from[0]) == 0)
            return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.0f\n", ((ended.tv_sec - began.tv_sec) * 1e9 + (ended.tv_nsec - began.tv_nsec)) / count);
    return 0;
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "--stream"))
        return stream("\"seed\":");
    if (count == 2 && !strcmp(words[1], "--drift"))
        return stream("}\n");
    if (count == 3 && !strcmp(words[1], "--bare"))
        return bare(words[0], atol(words[2]));
    return puts("1.5") < 0;
}
