/* SPDX-License-Identifier: BSD-2-Clause */
#include "state_file.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

void state_file_write(const char *path, void (*put)(FILE *file, void *arg), void *arg)
{
    char fresh[PATH_MAX + 8];

    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "we");
    bool fine = file && fchmod(fileno(file), 0600) == 0;
    if (fine)
        put(file, arg);
    fine = fine && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file)
        fine &= fclose(file) == 0;
    if (!fine || rename(fresh, path) != 0)
        weir_log(WEIR_LOG_ERROR, "%s: bans cannot be written: %m", path);
}
