/* SPDX-License-Identifier: BSD-2-Clause */
/* sink_file.h: the far end of a log sink: a descriptor or syslog, written whole lines at a time, rotated by size,
 * opened anew.
 *
 * Owner:   embedded in its sink.
 * Thread:  any: one lock around each call.
 * Errors:  sink_file_write answers how many lines were lost; opening and renaming failures go to the error log, and
 *          writing goes on with the file that is there. */
#ifndef PIPELINE_SINK_FILE_H
#define PIPELINE_SINK_FILE_H

#include "base/str.h"

#include <pthread.h>

enum sink_kind { SINK_FILE, SINK_STDOUT, SINK_STDERR, SINK_SYSLOG };

struct sink_file {
    pthread_mutex_t lock;
    enum sink_kind kind;
    char *path;          /* NUL-terminated; SINK_FILE */
    int fd;
    uint64_t size;       /* as far as we know */
    uint64_t rotate, keep;
    bool torn;           /* the last write ended within a line */
    uint64_t rotate_after_ms; /* a rotation that failed is tried again then */
    uint64_t lost;       /* lines, since the start */
    uint64_t lost_unreported, reported_ms;
    int error;           /* of the last loss */
};

bool sink_file_init(struct sink_file *file, enum sink_kind kind, str path); /* false and errno */
uint64_t sink_file_write(struct sink_file *file, str lines);
void sink_file_reopen(struct sink_file *file);
void sink_file_finish(struct sink_file *file);

#endif
