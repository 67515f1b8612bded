/* What the cases of threads share. */
#ifndef THREADS_H
#define THREADS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("%s:%d: %s (%d)\n", __FILE__, __LINE__, #what, errno);                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define MANY 8

extern pthread_mutex_t lock;
extern pthread_cond_t changed;
extern int turn, total;

void start(pthread_t *to, void *(*work)(void *), long with);
long join(pthread_t thread);
void run_all(void *(*work)(void *)); /* MANY of them, each with its number */
struct timespec after(clockid_t clock, long ms);
void settle(void); /* until the others wait */

/* locks.c */
void *add(void *own);
void *take_turns(void *own);
void barriers(void);
void *read_or_write(void *own);
void semaphores(void);
void local_data(void);

/* fair.c */
void handed(void);
void calls_all_the_time(void);
void by_time(void);
void closes(void);

/* signals.c */
void signals_to(void);
void signals_of_all(void);
void cancels(void);

/* mutexes.c */
void robust(void);
void inheriting(void);
void inheriting_signal(void);

/* requeue.c */
void requeue_inherit(void);

/* endings.c */
void timed(void);
void late(void);
void endings(void);
void last_of_all(void);
void hundreds(void);
void ten_thousand(void);

/* registers.c */
void arithmetic(void);
void spinning(void);
void *registers_or_calls(void *own);

/* calls.c */
void futexes(void);
void clocks(void);
void clone_flags(void);

#endif
