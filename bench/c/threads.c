/* Nanoseconds of a mutex that nobody else wants, and of a turn of two threads that wake each other.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { LOCKS = 5000000, TURNS = 20000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *play(void *mine) {
    int own = mine != NULL;
    for (int i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != own)
            pthread_cond_wait(&turned, &mutex);
        turn = !own;
        pthread_cond_signal(&turned);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(void) {
    pthread_t other;
    pthread_create(&other, NULL, play, &other); /* waits for its turn meanwhile */
    double start = now();
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    double locked = now();
    play(NULL);
    pthread_join(other, NULL);
    double turns = now();
    printf("%f %f\n", (locked - start) / LOCKS, (turns - locked) / TURNS);
    return 0;
}
