/* SPDX-License-Identifier: BSD-2-Clause */
/* kept_files.h: the files of the configuration that is live, as they were when it was accepted, and its logs, opened.
 *
 * Why:     the unprivileged server cannot read keys itself; and a server that has to be restarted must come back with
 *          the configuration that worked, whatever stands on the disk by then.
 * Owner:   the supervisor; copies lie in memory files.
 * Errors:  a file that cannot be read is left out (the server then says so at the directive). */
#ifndef APP_KEPT_FILES_H
#define APP_KEPT_FILES_H

#include "app/process/rehearsal.h"

struct kept_file {
    char *path;
    int fd;
    bool is_log;
};
struct kept_files {
    struct kept_file *at;
    uint32_t count;
};

/* opens all; owner of logs: the settings' user */
bool kept_files_take(struct kept_files *files, const struct rehearsal *rehearsal);
/* one that a former supervisor opened (takeover.h); takes fd; false without memory */
bool kept_files_adopt(struct kept_files *files, str path, int fd, bool is_log);
bool kept_files_send(const struct kept_files *files, int channel);
void kept_files_finish(struct kept_files *files);
void kept_files_reopen_logs(struct kept_files *files, const struct settings *settings);

#endif
