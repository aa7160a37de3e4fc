/* An evaluator that takes no time, in both modes of the agent.
 *
 *     evaluator FILE         says a number and ends
 *     evaluator --stream N   answers each line once N are unanswered, the oldest first, and all that are left once
 *                            there is nothing to read for a while; the same values of a strategy have the same
 *                            fitness every night
 *     evaluator --drift N    the same with another fitness each night, as of data that go on
 *     evaluator --bare N     starts itself with --stream 1, and asks N times over two pipes what the agent would ask:
 *                            prints nanoseconds per answer, which nobody can beat who asks by pipes */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What was read, and the part of it that was not taken. */
static char buffer[1 << 16];
static size_t taken, filled;

static char *whole(void) {
    return memchr(buffer + taken, '\n', filled - taken);
}

/* The next line with its end, whole. */
static char *next(int from, size_t *length) {
    char *end;
    while (!(end = whole())) {
        memmove(buffer, buffer + taken, filled - taken);
        filled -= taken, taken = 0;
        ssize_t got = read(from, buffer + filled, sizeof buffer - filled);
        if (got <= 0)
            return NULL;
        filled += got;
    }
    char *line = buffer + taken;
    *length = end + 1 - line;
    taken += *length;
    return line;
}

static int is_any(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return whole() || poll(&input, 1, 20) > 0;
}

static int stream(long most, const char *until) {
    static char answers[10000][96];
    long first = 0, count = 0;
    if (most < 1 || most > 10000)
        return 2;
    for (;;) {
        if (count >= most || (count > 0 && !is_any())) {
            for (long left = count >= most ? 1 : count; left > 0; left--) {
                char *answer = answers[first];
                size_t size = strlen(answer);
                if (write(1, answer, size) != (ssize_t)size)
                    return 1;
                first = (first + 1) % most, count--;
            }
            continue;
        }
        size_t length;
        char *line = next(0, &length);
        if (!line)
            return 0;
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
        snprintf(answers[(first + count++) % most], sizeof *answers, "%.*s\",\"fitness\":%u.5}\n",
                 (int)(end - line), line, sum % 1000);
    }
}

static int bare(const char *self, long count) {
    static const char request[] =
        "{\"id\":\"exit_mut_000042\",\"candidate\":\"/var/lib/mutation-agent/evaluating/exit_mut_000042.py\","
        "\"strategy\":\"strategies/momentum.py\",\"parameters\":{\"stop_loss_pct\":0.12},\"seed\":4503599627370496}\n";
    int to[2], from[2];
    size_t length;
    struct timespec began, ended;
    if (pipe(to) || pipe(from))
        return 2;
    if (vfork() == 0) {
        dup2(to[0], 0), dup2(from[1], 1);
        close(to[0]), close(to[1]), close(from[0]), close(from[1]);
        execl(self, self, "--stream", "1", (char *)NULL);
        _exit(127);
    }
    for (long at = -1; at < count; at++) {
        if (at == 0)
            clock_gettime(CLOCK_MONOTONIC, &began);
        if (write(to[1], request, sizeof request - 1) < 0 || !next(from[0], &length))
            return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.0f\n", ((ended.tv_sec - began.tv_sec) * 1e9 + (ended.tv_nsec - began.tv_nsec)) / count);
    return 0;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "--stream"))
        return stream(atol(words[2]), "\"seed\":");
    if (count == 3 && !strcmp(words[1], "--drift"))
        return stream(atol(words[2]), "}\n");
    if (count == 3 && !strcmp(words[1], "--bare"))
        return bare(words[0], atol(words[2]));
    return puts("1.5") < 0;
}
