/* What a disk still has after its power failed: for the files below a folder, what was synced and nothing else.
   Loaded with LD_PRELOAD. Writes are left alone; a sync of a file copies it as it is then into a second folder, under
   its inode, and a sync of a folder its list of names: together what a restart may count on, by the letter of POSIX
   (a file whose name was never synced is not there, however often it was itself). Who plays the failure kills the
   processes and puts the folder back (power.py).

   Another boot: /proc/sys/kernel/random/boot_id is read from another file, where one is named. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *disk, *synced, *boot;
static size_t disk_length;

__attribute__((constructor)) static void begin(void) {
    disk = getenv("ANSWERBACK_TEST_DISK");
    synced = getenv("ANSWERBACK_TEST_SYNCED");
    boot = getenv("ANSWERBACK_TEST_BOOT");
    disk_length = disk ? strlen(disk) : 0;
}

static int is_on_disk(int file) {
    char link[64], path[PATH_MAX];
    if (!disk || !synced)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < (ssize_t)disk_length)
        return 0;
    path[length] = 0;
    return !strncmp(path, disk, disk_length) && (path[disk_length] == '/' || !path[disk_length]);
}

static void copy_content(int file, int to) {
    char piece[65536], link[64];
    off_t at = 0;
    ssize_t count;
    int from = file;
    if ((fcntl(file, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        /* Only then: to close a file that was opened a second time takes away the locks of the first. */
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        from = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    }
    while ((count = pread(from, piece, sizeof piece, at)) > 0) {
        if (write(to, piece, count) != count)
            abort();
        at += count;
    }
    if (from != file)
        close(from);
}

static void copy_names(int folder, int to) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    DIR *names = opendir(link);
    if (!names)
        return;
    for (struct dirent *name; (name = readdir(names));) {
        struct stat found;
        if (!strcmp(name->d_name, ".") || !strcmp(name->d_name, ".."))
            continue;
        if (!fstatat(dirfd(names), name->d_name, &found, AT_SYMLINK_NOFOLLOW))
            dprintf(to, "%c %o %llu %s\n", S_ISDIR(found.st_mode) ? 'd' : S_ISREG(found.st_mode) ? 'f' : '-',
                    found.st_mode & 07777, (unsigned long long)found.st_ino, name->d_name);
    }
    closedir(names);
}

static void keep(int file) {
    struct stat found;
    char fresh[PATH_MAX], kept[PATH_MAX];
    int before = errno;
    if (fstat(file, &found) || !is_on_disk(file))
        return;
    snprintf(kept, sizeof kept, "%s/%llu", synced, (unsigned long long)found.st_ino);
    snprintf(fresh, sizeof fresh, "%s/%llu.%ld", synced, (unsigned long long)found.st_ino, syscall(SYS_gettid));
    int to = syscall(SYS_openat, AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0)
        abort();
    if (S_ISDIR(found.st_mode))
        copy_names(file, to);
    else
        copy_content(file, to);
    close(to);
    if (rename(fresh, kept))
        abort();
    errno = before;
}

int fsync(int file) {
    keep(file);
    return 0;
}

int fdatasync(int file) {
    keep(file);
    return 0;
}

static const char *which(const char *path) {
    return boot && path && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? boot : path;
}

#define OPEN(NAME, FLAGS)                                                                                              \
    int NAME(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        int mode = va_arg(more, int);                                                                                  \
        va_end(more);                                                                                                  \
        return syscall(SYS_openat, AT_FDCWD, which(path), flags | FLAGS, mode);                                        \
    }
OPEN(open, 0)
OPEN(open64, O_LARGEFILE)
