/* A deadlock of several threads: what each of them waits for. */
#include "parts/system/name.h"
#include "parts/threads/threads.h"

#define MOST_TOLD 16

static void tell(const struct thread *thread) {
    char name[THREAD_NAME];
    thread_name(thread, name);
    say("limpet:   thread ");
    say_decimal((u64)thread->id);
    say(" (");
    say(name);
    say(") waits for ");
    say(thread->waits ? thread->waits->what : "nothing");
    say_line();
}

void say_what_waits(void) {
    u64 count = 0;
    for (const struct thread *each = threads; each; each = each->next)
        count++;
    say_name();
    say(" is stuck: none of its ");
    say_decimal(count);
    say(" threads can ever go on");
    say_backend();
    u64 left = MOST_TOLD;
    for (const struct thread *each = threads; each && left; each = each->next, left--)
        tell(each);
    if (count > MOST_TOLD) {
        say("limpet:   and ");
        say_decimal(count - MOST_TOLD);
        say(" more");
        say_line();
    }
}
