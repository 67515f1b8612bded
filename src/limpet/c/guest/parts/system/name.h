/* The name of a thread: of the program's file until it sets another. */
#ifndef LIMPET_NAME_H
#define LIMPET_NAME_H

#include "core/thread.h"

#define THREAD_NAME 16 /* bytes with the zero at the end (prctl(2)) */

void thread_name(const struct thread *thread, char to[THREAD_NAME]);
void thread_set_name(struct thread *thread, const char from[THREAD_NAME]);

#endif
