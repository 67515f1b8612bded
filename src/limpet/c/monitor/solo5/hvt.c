/*
 * hvt: a Solo5 guest in a virtual machine.
 *
 * Trusted: KVM and the monitor.  The guest names memory in hypercalls; every such
 * range goes through guest_memory.  Memory lies at its own addresses.
 */
#include "solo5/solo5.h"

#define HVT_BOOT ((struct hvt_boot_info *)BOOT_INFO)

static void *or_refuse(void *found) {
    if (!found)
        refuse("limpet: the guest made a hypercall with an address outside its memory, "
               "backend kvm\n");
    return found;
}

/* What the guest can write: its memory from its first such page on, and the shim's data,
 * where its trap handlers have their stack. */
static void *writable(struct guest_addr at, u64 size) {
    static const struct run {
        u64 low, high;
    } closed[] = CLOSED; /* code or constants that are linked behind data; {0, 0} ends them */
    void *own = guest_range(at, size, BLOCKS_LO, BLOCKS_HI);
    for (const struct run *each = closed; own && each->high; each++)
        if (at.at < each->high && each->low < at.at + size)
            return NULL;
    return own ? own : guest_range(at, size, SHIM_DATA_LO, SHIM_DATA_HI);
}

/* What it can read: its code and constants too, and what it was told at start. */
static inline const void *guest_memory(struct guest_addr at, u64 size) {
    void *found = guest_range(at, size, GUEST_LO, GUEST_HI);
    if (!found)
        found = guest_range(at, size, BOOT_INFO, BOOT_END);
    return or_refuse(found ? found : writable(at, size));
}

static inline void *guest_buffer(struct guest_addr at, u64 size) {
    return or_refuse(writable(at, size));
}

static void *guest_block(struct guest_addr from, u64 size) {
    return writable(from, size);
}

/* The device, when the request is whole sectors within its capacity. */
static inline const struct mft_entry *block_device(u64 handle, u64 offset, u64 size) {
    const struct mft_entry *device = block_within(handle, offset, size);
    if (!device || !size || (offset | size) & (device->block_size - 1UL))
        return NULL;
    return device;
}

static void vcpu_ready(long khz) {
    HVT_BOOT->cpu_cycle_freq = khz > 0 ? (u64)khz * 1000 : 0;
}

/* The plan's page tables are for MEMORY_DEFAULT; other sizes map more or less of the
 * heap.  PAGE_DIRECTORIES are four tables in a row, for 4 GiB. */
static void map_heap(u64 memory) {
    u64 *directory = (u64 *)PAGE_DIRECTORIES;
    u64 from = memory < MEMORY_DEFAULT ? memory : MEMORY_DEFAULT;
    u64 to = memory < MEMORY_DEFAULT ? MEMORY_DEFAULT : memory;
    for (u64 at = from; at < to; at += LARGE_PAGE)
        directory[at / LARGE_PAGE] = at < memory ? at | HEAP_BITS : 0;
}

static void prepare(u64 *stack) {
    u64 memory = take_arguments(stack) & ~(LARGE_PAGE - 1);
    options_taken();
    place_devices();
    map_memory(KERNEL_END, memory);
    map_heap(memory);
    HVT_BOOT->mem_size = memory;
    HVT_BOOT->kernel_end = KERNEL_END;
    HVT_BOOT->cmdline = CMDLINE_AT;
    HVT_BOOT->mft = MANIFEST_AT;
}
