/* Starts a program so many times, one after the other, and notes what each took.
 *
 *     spawn OUT COUNT PROGRAM ARGUMENT...
 *
 * This is the bare cost of a start: vfork, exec, wait. OUT gets a line for each: nanoseconds of wall, user and system
 * time, peak of resident memory in KiB, exit status as of wait. The peak is the program's own, since the vfork'd child
 * begins with no more than this program has, and not with what a big parent has. It ends when this program is killed. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long nanoseconds(struct timeval time) {
    return time.tv_sec * 1000000000LL + time.tv_usec * 1000LL;
}

int main(int count, char **words) {
    if (count < 4) {
        fputs("spawn OUT COUNT PROGRAM ARGUMENT...\n", stderr);
        return 2;
    }
    FILE *out = fopen(words[1], "we");
    if (!out) {
        perror(words[1]);
        return 2;
    }
    for (long left = atol(words[2]); left > 0; left--) {
        long long began = now();
        pid_t child = vfork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execvp(words[3], words + 3);
            _exit(127);
        }
        int status;
        struct rusage used;
        if (child < 0 || wait4(child, &status, 0, &used) < 0) {
            perror(words[3]);
            return 2;
        }
        fprintf(out, "%lld %lld %lld %ld %d\n", now() - began, nanoseconds(used.ru_utime),
                nanoseconds(used.ru_stime), used.ru_maxrss, status);
    }
    return fclose(out) ? 2 : 0;
}
