/* Compresses a file into memory and into a file, reads that back, and compares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static void *read_all(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size + 1);
    if (fread(bytes, 1, *size, file) != *size)
        exit(3);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    size_t size, packed_size;
    if (argc != 3)
        return 2;
    void *bytes = read_all(argv[1], &size);
    void *packed = malloc(ZSTD_compressBound(size));
    size_t used = ZSTD_compress(packed, ZSTD_compressBound(size), bytes, size, 9);
    FILE *out = fopen(argv[2], "wb");
    fwrite(packed, 1, used, out);
    fclose(out);
    void *again = read_all(argv[2], &packed_size);
    void *back = malloc(size + 1);
    size_t length = ZSTD_decompress(back, size, again, packed_size);
    printf("%zu to %zu bytes, %s\n", size, packed_size,
           length == size && !memcmp(back, bytes, size) ? "same" : "DIFFERENT");
    return 0;
}
