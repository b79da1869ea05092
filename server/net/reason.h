/* SPDX-License-Identifier: BSD-2-Clause */
/* reason.h: why a connection failed, in few words that live for ever, so that connections need no room for them.
 * Thread:  any. */
#ifndef NET_REASON_H
#define NET_REASON_H

#include "base/str.h"

const char *reason_of_errno(int error);
/* The same text, cut below CONN_WHY bytes. Of the first 256 different ones, that is: further ones, and
 * those without memory, become "failed". */
const char *reason_keep(str text);

#endif
