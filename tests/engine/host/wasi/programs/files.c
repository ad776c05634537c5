/* Does with files what programs do, by way of the C library, and says what it found. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int failures = 0;

static void check(int holds, const char *what) {
  if (!holds) {
    printf("failed: %s (%s)\n", what, strerror(errno));
    failures++;
  }
}

static int by_name(const struct dirent **left, const struct dirent **right) {
  return strcmp((*left)->d_name, (*right)->d_name);
}

static void files(void) {
  FILE *file = fopen("/data/letters", "w+");
  check(file != NULL, "fopen");
  if (file == NULL) {
    exit(1);
  }
  for (char letter = 'a'; letter <= 'z'; letter++) {
    fprintf(file, "%c%d\n", letter, letter - 'a');
  }
  check(fseek(file, -4, SEEK_END) == 0 && ftell(file) == 90, "fseek");
  char line[16];
  check(fgets(line, sizeof line, file) != NULL && strcmp(line, "z25\n") == 0, "fgets");
  check(ftruncate(fileno(file), 3) == 0, "ftruncate");
  check(fclose(file) == 0, "fclose");
  struct stat status;
  check(stat("/data/letters", &status) == 0 && status.st_size == 3 && S_ISREG(status.st_mode), "stat");

  int descriptor = open("/data/letters", O_WRONLY | O_APPEND);
  check(write(descriptor, "end", 3) == 3, "write");
  check(pread(descriptor, line, 1, 0) == -1 && errno == EBADF, "pread of what is open for writing");
  close(descriptor);
  check(open("/data/letters", O_CREAT | O_EXCL | O_WRONLY, 0600) == -1 && errno == EEXIST, "O_EXCL");
  check(open("/data/../letters", O_RDONLY) == -1, "a path that leads out");
}

static void directories(void) {
  check(mkdir("/data/directory", 0700) == 0, "mkdir");
  check(rename("/data/letters", "/data/directory/moved") == 0, "rename");
  check(link("/data/directory/moved", "/data/directory/linked") == 0, "link");
  check(symlink("linked", "/data/directory/symbolic") == 0, "symlink");
  char target[16] = "";
  check(readlink("/data/directory/symbolic", target, sizeof target) == 6 && strncmp(target, "linked", 6) == 0,
        "readlink");
  check(rmdir("/data/directory") == -1 && errno == ENOTEMPTY, "rmdir of a directory with files");
  struct dirent **entries;
  int count = scandir("/data/directory", &entries, NULL, by_name);
  for (int entry = 0; entry < count; entry++) {
    printf("%s%s", entry ? " " : "", entries[entry]->d_name);
  }
  printf("\n");
  FILE *file = fopen("/data/directory/symbolic", "r");
  char line[16] = "";
  check(file != NULL && fread(line, 1, sizeof line, file) == 6, "fread through a symbolic link");
  printf("%.3s\n", line + 3);
  fclose(file);
  check(unlink("/data/directory/symbolic") == 0 && unlink("/data/directory/linked") == 0 &&
            unlink("/data/directory/moved") == 0 && rmdir("/data/directory") == 0,
        "unlink, rmdir");
}

static void time_and_polling(void) {
  struct timespec before, after, pause = {0, 2000000};
  clock_gettime(CLOCK_MONOTONIC, &before);
  check(nanosleep(&pause, NULL) == 0, "nanosleep");
  clock_gettime(CLOCK_MONOTONIC, &after);
  check((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec >= 2000000, "clock_gettime");
  struct pollfd output = {1, POLLOUT, 0};
  check(poll(&output, 1, 10000) == 1 && output.revents == POLLOUT, "poll");
}

int main(int count, char **arguments) {
  for (int position = 1; position < count; position++) {
    printf("argument %s\n", arguments[position]);
  }
  const char *greeting = getenv("GREETING");
  printf("greeting %s\n", greeting ? greeting : "none");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    printf("read %s", line);
  }
  files();
  directories();
  time_and_polling();
  fprintf(stderr, "%d failures\n", failures);
  return failures ? 1 : 42;
}
