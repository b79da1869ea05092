/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.h: what supervisor and server say to each other: short texts, each with at most one descriptor.
 *
 * Shape:   "verb rest", one packet each, over a SOCK_SEQPACKET pair.
 *          supervisor -> server: crumbs+fd, control+fd, listen INDEX KEY+fd, file PATH+fd, log PATH+fd, user NAME
 * GROUP,
 *                                drain, quarantine NAME BUILD DEEP WHY, upstream NAME FINGERPRINT ORDERS,
 *                                start PATH, reload PATH, refused TEXT, retire TEXT, kept TEXT, stop, quit, reopen
 *          server -> supervisor: ready, failed TEXT, reload, reloaded, reload-failed TEXT, upgrade, unquarantine NAME,
 *                                draining on|off, reopen, upstream NAME FINGERPRINT ORDERS, stop
 * Growth:  while weir is upgraded, older and newer ones talk: what is not understood is left out.
 * Owner:   a received descriptor is the receiver's; a sent one stays the sender's.
 * Errors:  -1 when the other side is gone. */
#ifndef APP_CHANNEL_H
#define APP_CHANNEL_H

#include "base/str.h"

enum { CHANNEL_MOST = 60 * 1024 };

struct channel_message {
    char text[CHANNEL_MOST + 1];
    str verb, rest;
    int fd; /* -1: none */
};

bool channel_pair(int fds[2]);
int channel_send(int channel, const char *verb, str rest, int fd); /* 0 or -1; a rest that is too long is cut */
int channel_receive(int channel, struct channel_message *message); /* 1, 0: nothing now, -1: gone */

#endif
