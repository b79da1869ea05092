/* SPDX-License-Identifier: BSD-2-Clause */
/* log.h: lines in weir's error log. Control characters are escaped; a line per call; object, fact, reason, no full
 * stop.
 * Thread:  any; weir_req_log: the request's worker (it puts the request's id into the line). */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <weir/api.h>

#define WEIR_LOG_DEBUG 0u
#define WEIR_LOG_INFO 1u
#define WEIR_LOG_NOTICE 2u
#define WEIR_LOG_WARN 3u
#define WEIR_LOG_ERROR 4u

__attribute__((format(printf, 2, 3))) static inline void weir_log(uint32_t level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->log(level, fmt, ap);
    va_end(ap);
}

__attribute__((format(printf, 3, 4))) static inline void weir_req_log(weir_req *r, uint32_t level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->req_log(r, level, fmt, ap);
    va_end(ap);
}

/* What `weir status` tells of this module, a line a subject (up to 64 subjects of 128 bytes, texts of 256); said again,
 * it takes the place of what was said before, and an empty text takes it away. WEIR_LOG_WARN and above show as
 * something to mend. Any thread. */
__attribute__((format(printf, 4, 5))) static inline void weir_mod_note(weir_mod *mod, const char *subject,
                                                                      uint32_t level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->mod_note(mod, subject, level, fmt, ap);
    va_end(ap);
}

/* Text of a command's answer, as it stands on the operator's terminal; lines end with '\n'. */
__attribute__((format(printf, 2, 3))) static inline void weir_say(weir_answer *answer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->say(answer, fmt, ap);
    va_end(ap);
}

/* For load(): notes why the module cannot be used. Always -1. */
__attribute__((format(printf, 2, 3))) static inline int weir_mod_error(weir_mod *mod, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    weir_api_->mod_error(mod, fmt, ap);
    va_end(ap);
    return -1;
}

/* This thread's slot of thread_size bytes; NULL on a thread that is no worker. */
static inline void *weir_thread_slot(weir_mod *mod)
{
    return weir_api_->thread_slot(mod);
}

#endif
