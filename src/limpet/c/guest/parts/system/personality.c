/* personality(2): remembered; nothing here behaves otherwise for it. */
#include "libos.h"

long sys_personality(long persona) {
    static u32 now;
    u32 before = now;
    if ((u32)persona != ~0U)
        now = (u32)persona;
    return before;
}
