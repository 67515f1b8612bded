/*
 * /dev/limpet/snapshot: a program that writes to it is at its moment.
 *
 * The folder is only there in a guest of which a snapshot is taken, and in what goes on from one.
 * The write ends as any other does, in each start of the bundle; a second one does nothing.  What
 * is read there is 1 behind the moment and 0 before, with a word behind it where the guest has had
 * a connection outside: what that brought is in its memory.
 *
 * Who writes the number of a signal to /dev/limpet/signal is sent it when the moment has come, and
 * has to write to /dev/limpet/snapshot then: what is done before that is done once, and what is
 * done behind it in each start.  Other threads have input once it writes there again.
 *
 * Behind the moment, what is written to /dev/limpet/memory lets the guest tell all of its memory
 * (live.c), and go on; what is read there is how often something went on from a moment until now.
 */
#include "parts/snapshot/snapshot.h"
#include "parts/world/world.h"

static void make_moment(struct text *to, u64 number) {
    (void)number;
    text_number(to, snapshot_taken() != NO_MOMENT);
    if (guest_snapshot->connected && *guest_snapshot->connected)
        text_put(to, " connected");
    text_put(to, "\n");
}

static long come_to_moment(const char *bytes, u64 size, u64 number) {
    (void)bytes, (void)number;
    if (size)
        snapshot_come(MOMENT_MARKER);
    return 0;
}

static void make_nothing(struct text *to, u64 number) {
    (void)to, (void)number;
}

static long ask_for_signal(const char *bytes, u64 size, u64 number) {
    u64 signal = 0;
    (void)number;
    for (u64 i = 0; i < size && bytes[i] != '\n'; i++) {
        if (i == 2 || bytes[i] < '0' || bytes[i] > '9')
            return -EINVAL;
        signal = signal * 10 + (u64)(bytes[i] - '0');
    }
    return snapshot_signal(signal) ? 0 : -EINVAL;
}

static void make_count(struct text *to, u64 number) {
    (void)number;
    text_number(to, entropy_renewed);
    text_put(to, "\n");
}

static long tell_memory(const char *bytes, u64 size, u64 number) {
    (void)bytes, (void)size, (void)number;
    if (snapshot_taken() == NO_MOMENT)
        return -EBUSY;
    snapshot_tell();
    return memory_told();
}

static long rewind(const char *bytes, u64 size, u64 number) {
    u64 word = 0;
    (void)number;
    if (size != sizeof word)
        return -EINVAL;
    memcpy(&word, bytes, sizeof word);
    return snapshot_rewind(word);
}

static const struct standard names[] = {SET("snapshot", make_moment, come_to_moment),
                                        SET("signal", make_nothing, ask_for_signal),
                                        SET("memory", make_count, tell_memory),
                                        SET("rewind", make_count, rewind),
                                        {0}};

const struct standard snapshot_folder = FOLDER("limpet", 0755, names);
