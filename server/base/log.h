/* SPDX-License-Identifier: BSD-2-Clause */
/* log.h: the error log: one line a fact, one write a line.
 *
 * Shape:   2026-11-21T05:31:51.123Z warn message
 *          Messages say: object, fact, reason, figures; lower case, no full stop. Control characters in them, and bytes
 *          that are no UTF-8, are written as \xNN: a peer cannot forge a line. Above 2 kB a message is cut ("...").
 * Thread:  any; a line is one write(2) on an append-only descriptor, so lines never mix.
 * Errors:  a line that cannot be written is dropped and counted. errno stays as it was, so %m works. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

#include <stdarg.h>

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_NOTICE_, LOG_WARN_, LOG_ERROR_ };

enum log_kind { LOG_TO_STDERR, LOG_TO_FILE, LOG_TO_SYSLOG };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_to_fd(int fd);                    /* takes fd (not 2); lines go there from now on, the former fd is closed */
void log_to_stderr(void);
void log_to_syslog(void);
bool log_level_parse(str name, enum log_level *out); /* debug info notice warn error */
uint64_t log_dropped(void);                          /* lines lost since the start */

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vwrite(enum log_level level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#define log_debug(...) (log_get_level() <= LOG_DEBUG_ ? log_write(LOG_DEBUG_, __VA_ARGS__) : (void)0)
#define log_info(...) log_write(LOG_INFO_, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE_, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN_, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR_, __VA_ARGS__)

#endif
