/* Writing below a folder, natively or on a volume: the same lines on either. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static void say_file(const char *path) {
    struct stat stat_;
    char bytes[64] = {0};
    int fd = open(path, O_RDONLY);
    if (stat(path, &stat_))
        printf("%s: %s\n", path, strerror(errno));
    else
        printf("%s: mode %o, %ld bytes, %ld links, \"%s\"\n", path, stat_.st_mode,
               (long)stat_.st_size, (long)stat_.st_nlink,
               read(fd, bytes, sizeof bytes - 1) >= 0 ? bytes : strerror(errno));
    close(fd);
}

static void opening(void) {
    static const int flags[] = {O_WRONLY | O_CREAT | O_EXCL,
                                O_RDWR | O_CREAT,
                                O_RDONLY | O_CREAT,
                                O_WRONLY | O_TRUNC,
                                O_RDONLY | O_TRUNC,
                                O_WRONLY | O_APPEND,
                                O_RDWR,
                                O_WRONLY | O_DIRECTORY,
                                O_RDWR | O_NOFOLLOW,
                                O_WRONLY | O_CREAT | O_NOFOLLOW};
    static const char *const paths[] = {"new",    "there",   "folder", "link", "dangling",
                                        "no/new", "there/x", "new2/",  "loop", "."};
    for (unsigned p = 0; p < sizeof paths / sizeof *paths; p++)
        for (unsigned f = 0; f < sizeof flags / sizeof *flags; f++) {
            int fd = open(paths[p], flags[f], 0640);
            printf("open %s %o: %s\n", paths[p], flags[f], fd < 0 ? strerror(errno) : "good");
            if (fd >= 0)
                printf("write %s, read %s\n", write(fd, "bytes", 5) < 0 ? strerror(errno) : "good",
                       pread(fd, &p + 1, 0, 0) < 0 ? strerror(errno) : "good");
            close(fd);
        }
    say_file("new");
    say_file("there");
    say_file("target");
}

static void modes(void) {
    static const int modes[] = {0666, 0600, 0640, 0664, 0777, 0755, 0700};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        char name[] = "mode0";
        name[4] = (char)('0' + i);
        close(open(name, O_CREAT | O_WRONLY, modes[i]));
        say_file(name);
    }
    umask(0);
    close(open("wide", O_CREAT | O_WRONLY, 0666));
    say_file("wide");
    umask(077);
    close(open("narrow", O_CREAT | O_WRONLY, 0777));
    say_file("narrow");
}

static void writing(void) {
    struct iovec parts[3] = {{"one ", 4}, {"", 0}, {"two", 3}};
    int fd = open("written", O_RDWR | O_CREAT | O_EXCL, 0600), again;
    char bytes[16] = {0};
    say("writev", writev(fd, parts, 3));
    say("position", lseek(fd, 0, SEEK_CUR));
    say("pwrite", pwrite(fd, "ONE", 3, 0));
    say("pwrite far", pwrite(fd, "x", 1, (5L << 30) + 7));
    say("end", lseek(fd, 0, SEEK_END));
    say("hole", lseek(fd, 0, SEEK_HOLE) > 0);
    say("data behind", lseek(fd, 1L << 30, SEEK_DATA) > 1L << 30);
    say("truncate", ftruncate(fd, 7));
    say("pwrite before", pwrite(fd, "x", 1, -1));
    say("size before", ftruncate(fd, -1));
    again = open("written", O_WRONLY | O_APPEND);
    say("append", write(again, "!", 1));
    say("its position", lseek(again, 0, SEEK_CUR));
    say("pwrite appends", pwrite(again, "?", 1, 0));
    say("fcntl", fcntl(again, F_SETFL, 0));
    say("no more", pwrite(again, "T", 1, 4));
    say("read what is only written", read(again, bytes, 1));
    say("pread", pread(fd, bytes, sizeof bytes, 0));
    puts(bytes);
    say("fsync", fsync(fd));
    say("fdatasync", fdatasync(again));
    say("room", fallocate(fd, 0, 0, 100));
    say("hole", fallocate(fd, 3, 0, 4096));
    say("no such", fallocate(fd, 4, 0, 10));
    say("truncate by name", truncate("written", 3));
    say("truncate a folder", truncate("folder", 3));
    say("truncate nothing", truncate("nothing", 3));
    say("bad pointer", pwrite(fd, (void *)1, 8, 0));
    say("nothing", write(fd, "", 0));
    say_file("written");
    char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    own[0] = 'x';
    say_file("written");
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    say("folder fsync", fsync(folder));
    say("below a folder", openat(folder, "inner", O_CREAT | O_WRONLY | O_SYNC, 0644));
    say("synchronous", write(folder + 1, "s", 1));
    say_file("folder/inner");
}

/* From one file to another past the program's memory. */
static void passing(void) {
    int from = open("passed", O_RDWR | O_CREAT, 0600), to = open("taken", O_RDWR | O_CREAT, 0600);
    int ends[2];
    off_t at = 2;
    char bytes[16] = {0};
    say("write", write(from, "0123456789", 10));
    say("sendfile", sendfile(to, from, &at, 4));
    say("sendfile to the end", sendfile(to, from, &at, 100));
    say("copy_file_range", copy_file_range(from, (off_t[]){0}, to, NULL, 2, 0));
    say("pipe", pipe(ends));
    say("splice to a pipe", splice(from, (off_t[]){1}, ends[1], NULL, 3, 0));
    say("splice from it", splice(ends[0], NULL, to, (off_t[]){1}, 3, 0));
    say("sendfile to a pipe", sendfile(ends[1], from, (off_t[]){5}, 3));
    say("read", read(ends[0], bytes, 3));
    puts(bytes);
    say("of a folder", sendfile(to, open("folder", O_RDONLY), (off_t[]){0}, 3));
    say_file("taken");
}

int main(int count, char **words) {
    if (count < 2 || chdir(words[1]))
        return 1;
    opening();
    modes();
    writing();
    passing();
    return 0;
}
