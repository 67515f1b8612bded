/* The constants of a process's filter that only the start knows: what its devices hold. */
static u32 slot_value(u32 what, const struct mft_entry *device) {
    u64 last = device->capacity - device->block_size;
    switch (what) {
    case SLOT_SECTOR:
        return device->block_size;
    case SLOT_LAST_LOW:
        return (u32)last;
    case SLOT_LAST_HIGH:
        return (u32)(last >> 32);
    case SLOT_CAPACITY_LOW:
        return (u32)device->capacity;
    case SLOT_CAPACITY_HIGH:
        return (u32)(device->capacity >> 32);
    default: /* SLOT_CAPACITY_UNDER */
        return (u32)(device->capacity >> 32) - 1;
    }
}

static void fill_filter(void) {
    static const struct slot_place {
        u16 instruction;
        u8 handle, what;
    } slots[] = FILTER_SLOTS;
    u64 *program = (u64 *)FILTER_PROCESS_AT;
    memcpy(program, (const void *)FILTER_PROCESS, FILTER_PROCESS_LENGTH * 8);
    for (u64 i = 0; i < sizeof slots / sizeof slots[0] - 1; i++)
        ((u32 *)(program + slots[i].instruction))[1] =
            slot_value(slots[i].what, &MANIFEST->entries[slots[i].handle]);
}
