/* Where a program's first words are. */
#ifndef LIMPET_START_H
#define LIMPET_START_H

#include "contract.h"

/* The argument count, the pointers to arguments and environment, the auxiliary vector. */
extern u64 *program_stack;

#endif
