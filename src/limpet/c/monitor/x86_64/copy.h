/* For argument blocks that are not copied word by word: the one instruction for it that an auditor
 * reads. */
static inline void copy_bytes(void *to, const void *from, size_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}
