/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS_MOST = 1024 * 1024, LINE_ROOM = 4096 };

static uint64_t physical_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

/* The file says a number, or "max". */
static uint64_t read_limit(const char *folder)
{
    char path[LINE_ROOM + 64];
    uint64_t limit = UINT64_MAX;

    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", folder);
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT64_MAX;
    if (fscanf(file, "%" SCNu64, &limit) != 1)
        limit = UINT64_MAX;
    fclose(file);
    return limit;
}

/* The process's own group and those around it: each may be the one that bounds. */
static uint64_t group_memory(void)
{
    char line[LINE_ROOM];
    uint64_t least = read_limit("");
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (!file)
        return least;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        char *path = line + 3;
        path[strcspn(path, "\n")] = '\0';
        for (char *slash = strrchr(path, '/'); slash && path[1]; slash = strrchr(path, '/')) {
            uint64_t limit = read_limit(path);
            least = limit < least ? limit : least;
            *slash = '\0';
            if (slash == path)
                break;
        }
    }
    fclose(file);
    return least;
}

uint64_t machine_memory(void)
{
    uint64_t physical = physical_memory(), group = group_memory();

    return group < physical ? group : physical;
}

uint64_t machine_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > DESCRIPTORS_MOST)
        return DESCRIPTORS_MOST;
    return limit.rlim_cur;
}
