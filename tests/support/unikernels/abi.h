/* What a guest of either Solo5 ABI has here; hvt.c and spt.c give it. */
#ifndef ABI_H
#define ABI_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;
#define bool _Bool
#define true 1
#define false 0

enum result { OK = 0, AGAIN = 1, EINVAL = 2, EUNSPEC = 3 };
enum handle { STORAGE = 1, SERVICE = 2 };

struct device {
    char name[68];
    u32 type;
    u64 capacity; /* of a network: MAC and MTU */
    u16 block_size;
    u64 handle;
    u8 attached;
};

struct manifest {
    u32 version, count;
    struct device devices[];
};

extern const char *command_line;
extern const struct manifest *manifest;
extern u64 memory_size;

void *memcpy(void *to, const void *from, u64 size);
void put(const char *text, u64 size);
_Noreturn void leave(int status);
u64 wall_clock(void);
u64 clock(void);
u64 wait_until(u64 deadline); /* the set of ready devices */
int block_read(u64 offset, void *to, u64 size);
int block_write(u64 offset, const void *from, u64 size);
int net_read(void *to, u64 *size);
int net_write(const void *from, u64 size);
void set_tls(u64 base);

void run(void);                   /* guest.c */
void attack(const char *command); /* what only one of the ABIs can try */

#endif
