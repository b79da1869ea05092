/* SPDX-License-Identifier: BSD-2-Clause */
/* received_files.h: files that the supervisor opened for the server, by path. Owner: this list, of the descriptors.
 * Thread: main; received_log_open any, as workers rotate their logs. */
#ifndef APP_RECEIVED_FILES_H
#define APP_RECEIVED_FILES_H

#include "base/str.h"

void received_file_add(str path, int fd, bool is_log);  /* takes fd; a newer one of the same path replaces the older */
/* a copy, at its beginning; else open(2) for reading; -1 and errno */
int received_file_open(void *arg, str path);
int received_log_open(const char *path);                /* a copy of the log's descriptor; else open(2) for appending */
/* Those that a pattern names: what was rehearsed, whatever lies on the disk by now. */
void received_files_list(void *arg, str pattern, void (*found)(void *to, str path), void *to);
void received_files_forget(bool logs_too);              /* before a reload's set arrives; at the end */

#endif
