/* volume_open in a process: the kernel itself stays below the folder, whatever the path says. */
static void process_volume_open(struct volume_open *block) {
    struct {
        u64 words[STAT_SIZE / 8];
    } stat = {{0}};
    block->result =
        HOST_STUB(volume_open, openat2, NR_OPENAT2, (long)(DEVICE_FD + block->volume),
                  (long)block->path, (long)(OPEN_WAYS + block->way * HOW_SIZE), HOW_SIZE, 0, 0);
    if (block->result >= 0 && block->look)
        HOST_STUB(volume_open, fstat, NR_FSTAT, block->result, (long)&stat, 0, 0, 0, 0);
    block->mode = (u32)stat.words[STAT_MODE_AT / 8];
}
