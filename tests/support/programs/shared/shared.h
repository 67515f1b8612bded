/* What the objects of the test of dynamic programs know of each other. */
#ifndef SHARED_H
#define SHARED_H

extern __thread int shared_initial; /* TLS of an object that the program starts with */
int shared_first(int value);
int shared_chosen(void);
const char *shared_version(void);
int *shared_counter(void);

#endif
