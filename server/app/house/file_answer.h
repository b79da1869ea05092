/* SPDX-License-Identifier: BSD-2-Clause */
/* file_answer.h: an open file as the answer to GET or HEAD: validators, conditions, ranges.
 *
 * Shape:   the content is file ranges in the reply's chain, so a plain connection sends it with sendfile(2).
 * Note:    when the file shrinks while it is sent, the connection is closed before Content-Length is reached.
 * Source:  RFC 9110 8.8 (validators), 13 (conditions), 14 (ranges), 15.3.7 (206), 15.4.5 (304), 15.5.17 (416). */
#ifndef APP_FILE_ANSWER_H
#define APP_FILE_ANSWER_H

#include "http/media_type.h"
#include "pipeline/request.h"

#include <sys/stat.h>

/* Takes fd, a regular file. */
weir_verdict file_answer(struct weir_req *r, int fd, const struct stat *st, str media_type);

#endif
