// The time of day of simple_switch_grpc, as a test sets it: what its entries age by. Loaded before the C library (LD_PRELOAD); the file that
// BMV2_CLOCK names holds the nanoseconds since 1970, and time stands still between two writes to it. Waits that end at a
// time of day end when that time is reached. gRPC goes by the machine's time: it waits in a way of its own, and would ask without end.
// Meters go by C++'s steady clock; what calls that from the program itself, and not from one of its libraries, are they.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SECOND 1000000000LL
#define STEP (2 * SECOND / 1000)
// Deadlines before this are not of the time of day.
#define EARLIEST 1000000000LL

#define LIBRARIES 256

struct range { uintptr_t start, end; };

static struct range grpc[LIBRARIES], program[LIBRARIES];
static int libraries, pieces;
// Behind it: until when somebody waits. What ages entries sweeps once a second, and makes up for what it missed before it waits again.
static volatile int64_t *now;
static int (*get_time)(clockid_t, struct timespec *);
static int (*wait_until)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static int note(struct dl_phdr_info *library, size_t size, void *data) {
    const char *name = library->dlpi_name;
    int of_grpc = strstr(name, "libgpr") || strstr(name, "libgrpc") || strstr(name, "libabsl");
    struct range *found = of_grpc ? grpc : program;
    int *count = of_grpc ? &libraries : &pieces;
    for (int n = 0; n < library->dlpi_phnum && (of_grpc || !*name) && *count < LIBRARIES; n++)
        if (library->dlpi_phdr[n].p_flags & PF_X) {
            found[*count].start = library->dlpi_addr + library->dlpi_phdr[n].p_vaddr;
            found[*count].end = found[*count].start + library->dlpi_phdr[n].p_memsz;
            ++*count;
        }
    return 0;
}

static int among(struct range *ranges, int count, void *caller) {
    for (int n = 0; n < count; n++)
        if ((uintptr_t) caller >= ranges[n].start && (uintptr_t) caller < ranges[n].end)
            return 1;
    return 0;
}

static int is_grpc(void *caller) {
    return among(grpc, libraries, caller);
}

__attribute__((constructor)) static void start(void) {
    dl_iterate_phdr(note, 0);
    const char *path = getenv("BMV2_CLOCK");
    int file = path ? open(path, O_RDWR) : -1;
    wait_until = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (file < 0 || (now = mmap(0, 2 * sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) == MAP_FAILED)
        abort();
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!get_time)
        get_time = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME || !now || is_grpc(__builtin_return_address(0)))
        return get_time(clock, time);
    time->tv_sec = *now / SECOND;
    time->tv_nsec = *now % SECOND;
    return 0;
}

// std::chrono::steady_clock::now()
int64_t _ZNSt6chrono3_V212steady_clock3nowEv(void) {
    struct timespec time;
    if (now && among(program, pieces, __builtin_return_address(0)))
        return *now;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static int wait_till(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *end, void *caller) {
    if (end->tv_sec < EARLIEST || is_grpc(caller))
        return wait_until(condition, mutex, end);
    int64_t until = end->tv_sec * SECOND + end->tv_nsec;
    while (*now < until) {
        struct timespec step;
        now[1] = until;
        get_time(CLOCK_REALTIME, &step);
        step.tv_sec += (step.tv_nsec + STEP) / SECOND;
        step.tv_nsec = (step.tv_nsec + STEP) % SECOND;
        int result = wait_until(condition, mutex, &step);
        if (result != ETIMEDOUT)
            return result;
    }
    return ETIMEDOUT;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *end) {
    return wait_till(condition, mutex, end, __builtin_return_address(0));
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *end) {
    static int (*wait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (clock == CLOCK_REALTIME)
        return wait_till(condition, mutex, end, __builtin_return_address(0));
    if (!wait)
        wait = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    return wait(condition, mutex, clock, end);
}
