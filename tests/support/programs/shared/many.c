/* A library with many system calls: some called by name, some through data, some by nobody. */
#define CALL(number)                                                                               \
    ({                                                                                             \
        long result;                                                                               \
        __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");         \
        result;                                                                                    \
    })
#define EXPORTED(number)                                                                           \
    long call##number(void) {                                                                      \
        return CALL(number);                                                                       \
    }
#define HIDDEN static __attribute__((noinline))

/* What looks like calls are definitions. */
/* clang-format off */
EXPORTED(102) EXPORTED(104) EXPORTED(107) EXPORTED(108) EXPORTED(110) EXPORTED(111)
EXPORTED(162) EXPORTED(24) EXPORTED(186) EXPORTED(39) EXPORTED(152) EXPORTED(150)
EXPORTED(151) EXPORTED(149) EXPORTED(34) EXPORTED(112) EXPORTED(121) EXPORTED(124)
EXPORTED(105) EXPORTED(106) EXPORTED(113) EXPORTED(114) EXPORTED(115) EXPORTED(116)
EXPORTED(117) EXPORTED(118) EXPORTED(119) EXPORTED(120) EXPORTED(122) EXPORTED(123)
EXPORTED(125) EXPORTED(126) EXPORTED(127) EXPORTED(160)
    /* clang-format on */

    HIDDEN long pointed(void) {
    return CALL(204); /* sched_getaffinity */
}
long (*const table[])(void) = {pointed};

HIDDEN long deeper(long flag) {
    return flag ? CALL(140) : CALL(145); /* getpriority, sched_getscheduler */
}

long named(long flag) {
    switch (flag) { /* a table of jumps */
    case 0:
        return deeper(1);
    case 1:
        return CALL(146); /* sched_get_priority_max */
    case 2:
        return CALL(147); /* sched_get_priority_min */
    case 3:
        return deeper(0);
    case 4:
        return CALL(98); /* getrusage */
    case 5:
        return CALL(63); /* uname */
    default:
        return -1;
    }
}

long looked_up(void) {
    return CALL(324); /* membarrier */
}

/* The number stays in a register while the call is made again and again. */
long again(long times) {
    long number = 201, done = 0; /* time */
    do
        __asm__ volatile("mov %%ebx, %%eax\n syscall"
                         : "=a"(done)
                         : "b"(number), "D"(0)
                         : "rcx", "r11", "memory");
    while (--times > 0);
    return done > 0;
}

/* A jump enters right before the call, behind the number that is there for the other way. */
long entered(long flag) {
    long result = 39; /* getpid, or getppid */
    __asm__ volatile("test %[flag], %[flag]\n jz 1f\n mov $110, %%eax\n 1: syscall\n cmp $0, %%rax"
                     : "+a"(result)
                     : [flag] "D"(flag)
                     : "rcx", "r11", "memory", "cc");
    return result;
}
