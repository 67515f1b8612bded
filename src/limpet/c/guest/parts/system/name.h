/* The name of the thread that runs: of the program's file until it sets another. */
#ifndef LIMPET_NAME_H
#define LIMPET_NAME_H

#define THREAD_NAME 16 /* bytes with the zero at the end (prctl(2)) */

void thread_name(char to[THREAD_NAME]);
void thread_set_name(const char from[THREAD_NAME]);

#endif
