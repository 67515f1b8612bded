/* /proc/PID/maps: the program, its heap, what it has mapped, the library OS, the stack. */
#include "parts/memory/maps.h"
#include "parts/world/world.h"

struct program_header {
    u32 type, flags;
    u64 offset, address, physical, file_size, memory_size, align;
};

enum { PT_LOAD = 1, PF_X = 1, PF_W = 2, PF_R = 4, SHARED = 8 };

static void put_line(struct text *to, u64 low, u64 high, u32 flags, u64 offset, const char *name) {
    u64 start = to->used;
    text_hex(to, low, 8);
    text_put(to, "-");
    text_hex(to, high, 8);
    text_put(to, flags & PF_R ? " r" : " -");
    text_put(to, flags & PF_W ? "w" : "-");
    text_put(to, flags & PF_X ? "x" : "-");
    text_put(to, flags & SHARED ? "s " : "p ");
    text_hex(to, offset, 8);
    text_put(to, *name == '/' ? " 00:16 1 " : " 00:00 0 ");
    while (*name && to->used - start < 73 && !to->cut)
        text_put(to, " ");
    text_put(to, name);
    text_put(to, "\n");
}

static void put_program(struct text *to) {
    const u8 *header = (const u8 *)guest_info.phdr;
    const char *name = (const char *)guest_info.name;
    u64 bias = 0;
    if (!header)
        put_line(to, guest_info.image_lo, guest_info.image_hi, PF_R | PF_X, 0, name);
    for (u64 i = 0; header && i < guest_info.phnum; i++, header += guest_info.phent) {
        const struct program_header *each = (const struct program_header *)header;
        if (each->type != PT_LOAD)
            continue;
        u64 low = ALIGN_DOWN(each->address, PAGE);
        if (!bias) /* the lowest segment tells how far a position-independent program was moved */
            bias = guest_info.image_lo - low + 1;
        low += bias - 1;
        u64 high = ALIGN_UP(each->address + bias - 1 + each->memory_size, PAGE);
        put_line(to, low, high, each->flags, ALIGN_DOWN(each->offset, PAGE), name);
    }
}

static u32 rights_of(const struct mapping *each) {
    return (each->rights & PROT_READ ? PF_R : 0) | (each->rights & PROT_WRITE ? PF_W : 0) |
           (each->rights & PROT_EXEC ? PF_X : 0);
}

/* What it is called: by the file behind it, or by what it is for. */
static void put_mapping(struct text *to, const struct mapping *each, u64 heap) {
    char path[PATH_MAX];
    const char *name = each->high <= heap ? "[heap]" : "";
    if (each->low >= guest_info.stack_lo && each->low < guest_info.stack_hi)
        name = "[stack]";
    if (each->file)
        name = of_tree(each->file) ? path_of(each->file->object, path) : "/dev/zero";
    put_line(to, each->low, each->high, rights_of(each) | (each->shared ? SHARED : 0),
             each->file ? each->offset : 0, name ? name : "/ (deleted)");
}

void make_maps(struct text *to, u64 number) {
    u64 heap = ALIGN_UP((u64)sys_brk(0), PAGE);
    (void)number;
    put_program(to);
    put_line(to, ALIGN_UP(guest_info.text_lo, PAGE), ALIGN_DOWN(guest_info.text_hi, PAGE),
             PF_R | PF_X, 0, "[limpet]");
    for (const struct mapping *each = mapping_from(guest_info.image_hi); each; each = each->next)
        put_mapping(to, each, heap);
}
