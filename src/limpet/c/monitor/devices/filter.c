/* The constants of a process's filter that only the start knows: what its devices hold. */
enum slot {
    SLOT_SECTOR,
    SLOT_PIECE,
    SLOT_SECTORS_LOW,
    SLOT_SECTORS_HIGH,
    SLOT_PIECES_LOW,
    SLOT_PIECES_HIGH,
    SLOT_END_LOW,
    SLOT_END_HIGH
};

static u32 slot_value(u32 what, const struct mft_entry *device) {
    u64 piece = device->capacity < BLOCK_PIECE ? device->capacity : BLOCK_PIECE;
    u64 sectors = device->capacity - device->block_size; /* where the last of a kind starts */
    u64 pieces = device->capacity - piece, end = device->capacity - BLOCK_SECTOR;
    switch (what) {
    case SLOT_SECTOR:
        return device->block_size;
    case SLOT_PIECE:
        return (u32)piece;
    case SLOT_SECTORS_LOW:
        return (u32)sectors;
    case SLOT_SECTORS_HIGH:
        return (u32)(sectors >> 32);
    case SLOT_PIECES_LOW:
        return (u32)pieces;
    case SLOT_PIECES_HIGH:
        return (u32)(pieces >> 32);
    case SLOT_END_LOW:
        return (u32)end;
    default:
        return (u32)(end >> 32);
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
