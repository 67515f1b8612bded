/* /proc/sysvipc: whoever makes the first queue, set or segment says who lists them. */
#ifndef LIMPET_ROWS_H
#define LIMPET_ROWS_H

struct text;

enum rows { ROWS_OF_QUEUES, ROWS_OF_SETS, ROWS_OF_SEGMENTS, ROWS_KINDS };
extern void (*sysv_rows[ROWS_KINDS])(struct text *to);

#endif
