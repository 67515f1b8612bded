/* What /proc/sysvipc tells of each queue, set and segment: the columns that all three have. */
#include "parts/sysv/rows.h"

static void put_mode(struct text *to, u32 mode) {
    char digits[] = "    ";
    u64 at = sizeof digits - 1;
    do
        digits[--at] = (char)('0' + mode % 8);
    while ((mode /= 8) && at);
    text_put(to, digits);
}

static void put_key(struct text *to, s32 key) {
    char digits[12] = "           ";
    u64 at = sizeof digits - 1, left = key < 0 ? (u64) - (s64)key : (u64)key;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (key < 0)
        digits[--at] = '-';
    u64 from = MIN(at, sizeof digits - 11);
    text_bytes(to, digits + from, sizeof digits - 1 - from);
}

/* In the order of their numbers. */
void ipc_rows(const struct ipc_table *table, struct text *to,
              void (*rest)(struct text *to, const struct ipc *ipc)) {
    for (long index = 0; table->first && index <= ipc_highest(table); index++) {
        const struct ipc *each = ipc_at(table, index);
        if (!each)
            continue;
        put_key(to, each->permissions.key);
        text_put(to, " ");
        text_right(to, (u64)ipc_id(each), 10);
        text_put(to, "  ");
        put_mode(to, each->permissions.mode);
        rest(to, each);
        text_put(to, "\n");
    }
}

void ipc_columns(struct text *to, const struct ipc_column *columns, u64 count) {
    for (u64 i = 0; i < count; i++) {
        text_put(to, " ");
        text_right(to, columns[i].value, columns[i].width);
    }
}
