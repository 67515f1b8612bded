/* poll: on the networks of the manifest, for at most the time that the guest asks. */
static void serve_hvt_poll(struct hvt_poll *block) {
    if ((block->ready_set = networks_ahead())) {
        block->ret = 1;
        return;
    }
    struct pollfd networks[NETWORKS + 1];
    u64 handles[NETWORKS + 1], count = 0;
    for (u64 i = 1; i < MANIFEST->count; i++) {
        if (MANIFEST->entries[i].type != DEVICE_NET)
            continue;
        networks[count] = (struct pollfd){(s32)MANIFEST->entries[i].handle, POLLIN, 0};
        handles[count++] = i;
    }
    u64 seconds = block->timeout_nsecs / 1000000000;
    struct timespec rest = {(s64)seconds, (s64)(block->timeout_nsecs % 1000000000)};
    long got = host6(NR_PPOLL, (long)networks, (long)count, (long)&rest, 0, 0, 0);
    block->ready_set = 0;
    block->ret = got > 0 ? (s32)got : 0;
    for (u64 i = 0; got > 0 && i < count; i++)
        if (networks[i].ready)
            block->ready_set |= 1UL << handles[i], frames_moved(handles[i]);
}
