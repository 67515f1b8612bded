/* volume_open in a process: the kernel itself stays below the folder, whatever the path says. */
static u32 mode_of_slot(long slot) {
    struct {
        u64 words[STAT_SIZE / 8];
    } stat = {{0}};
    HOST_STUB(volume_open, fstat, NR_FSTAT, slot, (long)&stat, 0, 0, 0, 0);
    return (u32)stat.words[STAT_MODE_AT / 8];
}

static void process_volume_open(struct volume_open *block) {
    block->result =
        HOST_STUB(volume_open, openat2, NR_OPENAT2, (long)(DEVICE_FD + block->volume),
                  (long)block->path, (long)(OPEN_WAYS + block->way * HOW_SIZE), HOW_SIZE, 0, 0);
    block->ahead = -1;
    block->mode = block->result >= 0 && block->look ? mode_of_slot(block->result) : 0;
}
