/* The constants of a filter that only the start knows: what its devices hold. */
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

struct slot_place {
    u16 instruction;
    u8 handle, what;
};

static void fill_filter(u64 *program, u64 template, u64 length, const struct slot_place *slots) {
    memcpy(program, (const void *)template, length * 8);
    for (const struct slot_place *each = slots; each->handle; each++)
        ((u32 *)(program + each->instruction))[1] =
            slot_value(each->what, &MANIFEST->entries[each->handle]);
}

#ifdef FILTER_SLOTS_KVM
static void fill_filter_kvm(void) {
    static const struct slot_place slots[] = FILTER_SLOTS_KVM;
    fill_filter((u64 *)FILTER_KVM_AT, FILTER_KVM, FILTER_KVM_LENGTH, slots);
}
#endif

#ifdef FILTER_SLOTS_PROCESS
static void fill_filter_process(void) {
    static const struct slot_place slots[] = FILTER_SLOTS_PROCESS;
    fill_filter((u64 *)FILTER_PROCESS_AT, FILTER_PROCESS, FILTER_PROCESS_LENGTH, slots);
}
#endif
