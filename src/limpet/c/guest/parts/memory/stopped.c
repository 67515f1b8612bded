/* Memory around the moment of a snapshot: nothing is elsewhere then, and everything after it. */
#include "parts/memory/reserve.h"

void reserve_gather(void) {
    for (const struct run *each = reserve_runs(); each; each = each->next) {
        if (each->changed)
            host_protect(each->low, each->high, PROT_READ | PROT_WRITE);
        if (!host_place(each->low, each->frame, each->high - each->low))
            panic("the host does not move memory back");
    }
}

/* What a start maps can be read and written. */
void reserve_scatter(void) {
    for (const struct run *each = reserve_runs(); each; each = each->next)
        if (!host_place(each->frame, each->low, each->high - each->low))
            panic("the host does not move memory");
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        if (each->rights != (PROT_READ | PROT_WRITE) && each->rights != GIVEN_RIGHTS)
            guest_memory->protect(each, each->rights);
    pages_hide_again();
}
