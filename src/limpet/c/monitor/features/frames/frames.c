/*
 * Several frames an exit.  The shim of an hvt guest gathers what the guest sends while a time runs,
 * and every exit, whatever it is for, sends that first: so the order is kept, nothing is left when
 * the guest ends or waits, and where it only computes, the end of the time is an exit.  What a
 * network has is brought with the first frame, and the shim hands it out.
 *
 * Trusted: nothing in struct frames.  See solo5/frames.h.
 */
#include "core/run_signal.h"
#include "solo5/wire.h"

static const u64 frames_signal = 1UL << (FRAMES_SIGNAL - 1);

/* The first timer of this process is timer 0.  Where there is none, setting it fails, and each
 * frame is an exit. */
enum { FRAMES_TIMER = 0 };

struct timer_event { /* struct sigevent */
    u64 value;
    s32 signal, notify, pad[12];
};
_Static_assert(sizeof(struct timer_event) == 64, "struct sigevent");

static void frames_start(int vcpu) {
    const struct timer_event event = {.signal = FRAMES_SIGNAL};
    s32 timer = -1;
    end_runs_by(&frames_signal, vcpu);
    host3(NR_TIMER_CREATE, CLOCK_MONOTONIC, (long)&event, (long)&timer);
}

static _Noreturn void refuse_frames(void) {
    die(EXIT_REFUSED, "limpet: the guest changed the frames that it is to send, backend kvm\n");
}

static void send_frame(const struct mft_entry *device, const u8 *frame, u32 size) {
    long got = put_frame(device, frame, size);
    if (got != (long)size && got != -HOST_EAGAIN && got != -HOST_ENOBUFS)
        FRAMES->failed = 1, FRAMES->open = 0;
}

static void send_gathered(void) {
    u32 all = FRAMES->gathered;
    FRAMES->gathered = FRAMES->dry = 0;
    if (all > FRAMES_ROOM)
        refuse_frames();
    for (u32 at = 0; at < all;) {
        struct frame_head head = {0, 0};
        const struct mft_entry *device = NULL;
        if (all - at >= FRAME_HEAD) {
            head = *(const struct frame_head *)(FRAMES->sent + at); /* copied once */
            device = net_device(head.handle);
        }
        if (!device || !frame_fits(device, head.size) || head.size > all - at - FRAME_HEAD)
            refuse_frames();
        send_frame(device, FRAMES->sent + at + FRAME_HEAD, head.size);
        at = next_frame(at, head.size);
    }
}

/* What the network has, as far as there is room. */
static void bring_frames(const struct mft_entry *device, u32 handle) {
    u64 most = net_mtu(device) + ETHERNET_HEADER;
    u32 at = 0;
    while (most <= FRAME_MOST && at + FRAME_HEAD + most <= FRAMES_ROOM) {
        struct frame_head *head = (struct frame_head *)(FRAMES->ahead + at);
        long got = get_frame(device, head + 1, most);
        FRAMES->dry = got == -HOST_EAGAIN;
        if (got < 0)
            break;
        *head = (struct frame_head){handle, (u32)got};
        at = next_frame(at, (u32)got);
    }
    FRAMES->handle = handle, FRAMES->brought = at, FRAMES->taken = 0;
}

/* The guest goes on behind a hypercall about a network. */
static void frames_served(void) {
    u32 handle = FRAMES->moved;
    const struct mft_entry *device = net_device(handle);
    if (!handle || !device)
        return;
    FRAMES->moved = 0;
    if (!networks_ahead())
        bring_frames(device, handle);
    if (!FRAMES->open && !FRAMES->failed)
        FRAMES->open = host4(NR_TIMER_SETTIME, FRAMES_TIMER, 0, (long)FRAMES_TIME, 0) == 0;
}

static void frames_late(void) {
    if (take_signal(&frames_signal))
        FRAMES->open = 0;
}
