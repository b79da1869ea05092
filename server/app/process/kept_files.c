/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/kept_files.h"

#include "app/process/channel.h"
#include "app/process/privileges.h"
#include "base/mem.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 64 * 1024 * 1024 };

static bool copy_all(int to, int from)
{
    char buffer[64 * 1024];
    uint64_t sum = 0;
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        sum += (uint64_t)n;
        if (sum > FILE_MOST || write(to, buffer, (size_t)n) != n)
            return false;
    }
    return n == 0 && lseek(to, 0, SEEK_SET) == 0;
}

static int copy_in_memory(const char *path)
{
    struct stat st;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (from < 0)
        return -1;
    int to = fstat(from, &st) == 0 && S_ISREG(st.st_mode) ? memfd_create("weir-file", MFD_CLOEXEC) : -1;
    if (to >= 0 && !copy_all(to, from)) {
        close(to);
        to = -1;
    }
    close(from);
    return to;
}

static int open_log(const char *path, const struct settings *settings)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    if (fd >= 0)
        privileges_give(fd, settings);
    return fd;
}

bool kept_files_take(struct kept_files *files, const struct rehearsal *rehearsal)
{
    *files = (struct kept_files){ .at = mem_array(rehearsal->files.count + 1, sizeof(struct kept_file)) };
    if (!files->at)
        return false;
    for (uint32_t i = 0; i < rehearsal->files.count; i++) {
        const struct plan_file *from = vec_at(&rehearsal->files, struct plan_file, i);
        int fd = from->is_log ? open_log(from->path.p, &rehearsal->settings) : copy_in_memory(from->path.p);
        if (fd < 0)
            continue;
        char *path = str_dup(from->path);
        if (!path) {
            close(fd);
            return false;
        }
        files->at[files->count++] = (struct kept_file){ path, fd, from->is_log };
    }
    return true;
}

bool kept_files_adopt(struct kept_files *files, str path, int fd, bool is_log)
{
    struct kept_file *at = mem_realloc(files->at, (files->count + 1) * sizeof(*at));

    if (!at)
        return false;
    files->at = at;
    char *copy = str_dup(path);
    if (!copy)
        return false;
    files->at[files->count++] = (struct kept_file){ copy, fd, is_log };
    return true;
}

bool kept_files_send(const struct kept_files *files, int channel)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (channel_send(channel, files->at[i].is_log ? "log" : "file", str_of(files->at[i].path),
                         files->at[i].fd) != 0)
            return false;
    return true;
}

void kept_files_finish(struct kept_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        close(files->at[i].fd);
        mem_free(files->at[i].path);
    }
    mem_free(files->at);
    *files = (struct kept_files){ 0 };
}

void kept_files_reopen_logs(struct kept_files *files, const struct settings *settings)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (!files->at[i].is_log)
            continue;
        int fd = open_log(files->at[i].path, settings);
        if (fd < 0)
            continue;
        close(files->at[i].fd);
        files->at[i].fd = fd;
    }
}
