// Uses files as programs do, through the C library, below the current directory, and prints what happened: the same
// natively and as a guest, on any file system.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *error_name(void) {
    switch (errno) {
#define NAME(e) case e: return #e;
        NAME(ENOENT) NAME(EEXIST) NAME(ENOTDIR) NAME(EISDIR) NAME(ENOTEMPTY) NAME(EINVAL) NAME(ELOOP) NAME(EBADF)
        NAME(ENAMETOOLONG) NAME(EXDEV) NAME(EPERM) NAME(EROFS) NAME(ENOSPC) NAME(EBUSY) NAME(ESPIPE) NAME(EACCES)
#undef NAME
    }
    return strerror(errno);
}

static void say(const char *what, long result) {
    if (result < 0) printf("%s: %s\n", what, error_name());
    else printf("%s: %ld\n", what, result);
}

static int compare(const void *left, const void *right) { return strcmp(*(char **)left, *(char **)right); }

// The tree below a directory, names in order, with types and sizes; links are not followed.
static void show(const char *path, int depth) {
    char *names[4096];
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory) { say(path, -1); return; }
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof *names, compare);
    for (int index = 0; index < count; index++) {
        char below[512], target[256] = "";
        struct stat status;
        snprintf(below, sizeof below, "%s/%s", path, names[index]);
        if (lstat(below, &status)) say(below, -1);
        if (S_ISLNK(status.st_mode)) {
            long length = readlink(below, target, sizeof target - 1);
            if (length >= 0) target[length] = 0;
        }
        printf("%*s%s %s", depth * 2, "", names[index], S_ISDIR(status.st_mode) ? "/" : S_ISLNK(status.st_mode) ? "->" : "");
        if (S_ISREG(status.st_mode)) printf("%lld bytes, %ld links", (long long)status.st_size, (long)status.st_nlink);
        printf("%s\n", target);
        if (S_ISDIR(status.st_mode)) show(below, depth + 1);
        free(names[index]);
    }
}

// As `rm -r`: removes entries while it reads the directory.
static int remove_tree(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) return unlink(path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char below[512];
        struct stat status;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (!lstat(below, &status) && S_ISDIR(status.st_mode)) remove_tree(below);
        else say("unlink of a part", unlink(below) < 0 ? -1 : 0);
    }
    closedir(directory);
    return rmdir(path);
}

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (!file) { say(path, -1); return; }
    fputs(text, file);
    say("fclose", fclose(file));
}

static void get(const char *path) {
    char text[256] = "";
    FILE *file = fopen(path, "r");
    if (!file) { say(path, -1); return; }
    fread(text, 1, sizeof text - 1, file);
    fclose(file);
    printf("%s has \"%s\"\n", path, text);
}

int main(void) {
    char buffer[100] = "";
    struct stat status;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);

    say("mkdir", mkdir("d", 0777));
    say("mkdir again", mkdir("d", 0777));
    say("mkdir with a slash", mkdir("d/e/", 0777));
    say("mkdir below nothing", mkdir("x/y", 0777));
    put("f", "hello");
    put("d/g", "from d");
    put("d/e/h", "");
    put("x/y", "");
    say("symlink", symlink("d/g", "l"));
    say("symlink up", symlink("../f", "d/up"));
    say("symlink to a directory", symlink("d", "s"));
    say("symlink to nothing", symlink("nothing", "n"));
    say("symlink to itself", symlink("o", "o"));
    say("link", link("f", "d/f"));
    say("link of a directory", link("d", "k"));
    say("link of nothing", link("x", "k"));
    show(".", 0);
    get("l"); get("d/up"); get("s/g"); get("s/../f"); get("n"); get("o"); get("d"); get("f/"); get("f/x"); get("./d/./e/../g");

    int file = open("f", O_RDWR);
    say("write", write(file, "HE", 2));
    say("lseek", lseek(file, 0, SEEK_CUR));
    say("pread", pread(file, buffer, 10, 1));
    printf("\"%s\"\n", buffer);
    say("pwrite", pwrite(file, "!!", 2, 10));
    say("lseek to the end", lseek(file, 0, SEEK_END));
    say("lseek before the beginning", lseek(file, -1, SEEK_SET));
    say("ftruncate", ftruncate(file, 7));
    say("fsync", fsync(file));
    say("fdatasync", fdatasync(file));
    say("fstat", fstat(file, &status));
    printf("%lld bytes, %ld links\n", (long long)status.st_size, (long)status.st_nlink);
    say("close", close(file));
    say("close again", close(file));
    say("read of a closed one", read(file, buffer, 1));

    file = open("a", O_CREAT | O_APPEND | O_WRONLY, 0666);
    say("append", write(file, "one", 3));
    lseek(file, 0, SEEK_SET);
    say("append", write(file, "two", 3));
    say("read of one for writing", read(file, buffer, 1));
    close(file);
    get("a");
    say("O_EXCL", open("a", O_CREAT | O_EXCL | O_WRONLY, 0666));
    say("O_EXCL on a link", open("n", O_CREAT | O_EXCL | O_WRONLY, 0666));
    say("O_DIRECTORY on a file", open("a", O_DIRECTORY | O_RDONLY));
    say("O_NOFOLLOW", open("l", O_NOFOLLOW | O_RDONLY));
    say("a directory for writing", open("d", O_WRONLY));
    file = open("n", O_CREAT | O_WRONLY, 0666);  // makes what the link leads to
    close(file);
    say("what a link led to", stat("nothing", &status));
    file = open("a", O_TRUNC | O_WRONLY);
    close(file);
    get("a");

    say("rename", rename("a", "d/b"));
    say("rename onto a file", rename("d/b", "f"));
    say("rename of nothing", rename("a", "b"));
    say("rename of a directory into itself", rename("d", "d/e/x"));
    say("rename of a directory onto a file", rename("d", "f"));
    say("rename of a file onto a directory", rename("f", "d"));
    say("rename of a directory onto a full one", rename("d/e", "d"));
    mkdir("empty", 0777);
    say("rename of a directory onto an empty one", rename("d/e", "empty"));
    say("rename of a link", rename("l", "m"));
    say("rename with a slash", rename("f", "z/"));
    show(".", 0);

    say("unlink of a directory", unlink("d"));
    say("rmdir of a file", rmdir("f"));
    say("rmdir of a full one", rmdir("d"));
    say("rmdir of a link", rmdir("s"));
    say("unlink of a link", unlink("s"));
    say("unlink of nothing", unlink("s"));

    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    say("utimensat", utimensat(AT_FDCWD, "f", times, 0));
    stat("f", &status);
    printf("%lld.%ld %lld.%ld\n", (long long)status.st_atim.tv_sec, (long)status.st_atim.tv_nsec,
           (long long)status.st_mtim.tv_sec, (long)status.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = 3000;
    say("utimensat of a link", utimensat(AT_FDCWD, "o", times, AT_SYMLINK_NOFOLLOW));
    lstat("o", &status);
    printf("%lld.%ld\n", (long long)status.st_mtim.tv_sec, (long)status.st_mtim.tv_nsec);

    file = open("gone", O_CREAT | O_RDWR, 0666);
    write(file, "still here", 10);
    say("unlink of an open file", unlink("gone"));
    say("pread of a file without a name", pread(file, buffer, 10, 0));
    printf("\"%.10s\"\n", buffer);
    fstat(file, &status);
    printf("%ld links\n", (long)status.st_nlink);
    close(file);

    mkdir("many", 0777);
    for (int index = 0; index < 500; index++) {
        snprintf(buffer, sizeof buffer, "many/%d-%d", index % 7, index);
        close(open(buffer, O_CREAT | O_WRONLY, 0666));
    }
    say("rm -r", remove_tree("many"));
    say("rm -r", remove_tree("d"));
    show(".", 0);

    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    say("a long name", open(name, O_CREAT | O_WRONLY, 0666));
    name[255] = 0;
    file = open(name, O_CREAT | O_WRONLY, 0666);
    say("the longest name", close(file));
    say("unlink", unlink(name));

    FILE *stream = fopen("stream", "w+");
    for (int line = 0; line < 20000; line++) fprintf(stream, "line %d\n", line);
    fseek(stream, 100000, SEEK_SET);
    fgets(buffer, sizeof buffer, stream);
    printf("at 100000: %s", buffer);
    fseek(stream, -12, SEEK_END);
    fgets(buffer, sizeof buffer, stream);
    printf("at the end: %s", buffer);
    rewind(stream);
    long lines = 0;
    while (fgets(buffer, sizeof buffer, stream)) lines++;
    say("lines", lines);
    fclose(stream);
    stat("stream", &status);
    say("bytes", (long)status.st_size);
    return 0;
}
