/* SPDX-License-Identifier: BSD-2-Clause */
/* uri_errors.h: the one reason that is not the peer's fault, told apart by its address: 500 instead of 400. */
#ifndef HTTP_URI_ERRORS_H
#define HTTP_URI_ERRORS_H

extern const char uri_no_memory[];

#endif
