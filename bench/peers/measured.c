/* SPDX-License-Identifier: MIT
 * Runs a program, and writes to standard output what it took: seconds of the clock and of the
 * processor, and the most memory that was resident, in KiB.
 *
 *     measured PROCESSOR PROGRAM ARGUMENTS...
 *
 * It exists because the peak of a process begins with that of the process that forked it: measured
 * from Python, no program seems to take less than Python does. compare_downloaders.py builds it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(struct timeval time) { return (double)time.tv_sec + time.tv_usec / 1e6; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + time.tv_nsec / 1e9;
}

static void become(int processor, char** command) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    sched_setaffinity(0, sizeof set, &set);
    dup2(open("/dev/null", O_RDWR), 1);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const double began = now();
    const pid_t child = fork();
    if (child == 0) become(atoi(argv[1]), argv + 2);
    int status = 0;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child) return 1;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    printf("{\"wall\": %.6f, \"cpu\": %.6f, \"memory\": %ld, \"status\": %d}\n", now() - began,
           seconds_of(used.ru_utime) + seconds_of(used.ru_stime), used.ru_maxrss, code);
    return 0;
}
