/* SPDX-License-Identifier: BSD-2-Clause */
/* sink.h: where log lines go: files, stdout, stderr, syslog; whole lines, gathered per worker.
 *
 *     worker 0: line, line, line --+
 *     worker 1: line, line --------+-- one write(2) each --> PATH --> PATH.1 .. PATH.N
 *                                      when full, after a second, on reopen, on stop
 *
 * Shape:   one sink a target; the same target asked for again is the same sink, with the options of the first.
 * Owner:   the process: sinks are never closed by a reload, so lines of requests that began under an older snapshot
 *          have their place.
 * Thread:  sink_write: any (on a worker it only copies); the rest: main.
 * Errors:  lines that could not be written are counted and reported in the error log, at once and then once a minute.
 * Note:    a file may shrink or move under us: the size is taken anew at each reopen. */
#ifndef PIPELINE_SINK_H
#define PIPELINE_SINK_H

#include "pipeline/session.h"

struct weir_sink_options;

enum { SINK_FLUSH_MS = 1000, SINK_LINE_MOST = 64 * 1024, SINK_BUFFER_MOST = 16 * 1024 * 1024 };

/* Opens a log file for appending; -1 and errno. Replaced by the app when somebody with more rights opens files. */
extern int (*sink_open)(const char *path);

/* target: an absolute path, "stdout", "stderr" or "syslog". is_rehearsal: nothing is created, only looked at. NULL and
 * *why (static or in a room of the calling thread's). */
weir_sink *sink_get(str target, const struct weir_sink_options *options, bool is_rehearsal, str *why);
int sink_write(weir_sink *sink, str line); /* newline included; 0, or -1: lost, and counted */
uint64_t sink_lost(const weir_sink *sink); /* lines, since the start */

void sinks_worker_up(struct pipeline_worker *pw);
void sinks_worker_down(struct pipeline_worker *pw); /* writes what this worker holds */
void sinks_flush(void);    /* what the calling worker holds, now */
void sinks_reopen(void);   /* main: each worker writes what it holds, then all files are opened anew */
unsigned sinks_reopened(void); /* how often that was completed */
void sinks_finish(void);   /* after the last worker: closes and frees all */

#endif
