/* What the files of the core know of each other. */
#ifndef LIMPET_CORE_H
#define LIMPET_CORE_H

#include "libos.h"
#include "x86_64/regs.h"

/* Where the plan says.  Ring 0 and the monitor write it, and the library OS its `turn`. */
extern struct trap_frame trap_frame;

/* entry.S: where rewritten sites jump, with the flags dead, kept, or in r11. */
void syscall_entry(void);
void syscall_entry_r11(void);
void trap_entry_kvm(void);
void trap_entry_process(void);
long ring0_gate(u64 from, u64 to, u64 pages, u64 rights); /* ring0/arrange.c, on kvm */
_Noreturn void resume(const struct regs *regs); /* to the program, every register restored */
_Noreturn void serve_on_own_stack(const struct regs *regs);

/* Generated for each guest: only the system calls that it can make. */
long dispatch(long number, long a, long b, long c, long d, long e, long f);
void call_missed(long number); /* it is served, and not with these arguments */
void call_faults(const struct regs *call, long result); /* it ends so, and not by returning */
struct linux_siginfo;
void signal_told(const struct linux_siginfo *info); /* to its handler, or it ends the program */
void say_missed(bool crashed); /* what it asked for and is not served, if that may be why */

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE };

/* An exception or fault signal, however it was delivered. */
struct fault {
    int signal;         /* SIG* */
    int code;           /* si_code */
    u64 address;        /* si_addr */
    enum access access; /* what the program tried, of a page fault */
    u64 vector;         /* of the processor exception */
    u64 error;          /* its error code */
};

/* trap.c */
void leave_to_program(struct regs *regs); /* what is pending is delivered first */
_Noreturn void fault_taken(struct regs *regs, struct fault *fault);

/* signals.c */
void signals_deliver(struct regs *regs);
_Noreturn void signal_fault(struct regs *regs, const struct fault *fault);

/* crash.c */
extern void (*before_end)(void); /* what is still to be done then; NULL: nothing */
_Noreturn void crash(int signal, const struct regs *regs, const char *what, const u64 *address);
void say_unserved(const char *name, long number); /* name is NULL where only this is known */
long say_unreached(const char *name, long number);
_Noreturn void end_deadlocked(const char *what);
_Noreturn void end_unstarted(const char *why);

/* A line on standard error, piece by piece; the last two end it. */
void say(const char *text);
void say_decimal(u64 value);
void say_name(void); /* "limpet: NAME" */
void say_backend(void);
void say_line(void);

#endif
