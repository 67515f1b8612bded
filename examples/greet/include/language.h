#ifndef LANGUAGE_H
#define LANGUAGE_H

#include <stddef.h>

/* Read the greeting of a language from its file; 0, or -1 with errno set. */
int greeting(const char *language, char *text, size_t room);

#endif
