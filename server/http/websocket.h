/* SPDX-License-Identifier: BSD-2-Clause */
/* websocket.h: what an HTTP/1.1 handshake for a WebSocket proves: the answer belongs to the key, so whoever gave it has
 * read the question, and is neither a cache nor a server that knows nothing of WebSockets.
 *
 * Shape:   text in base64; SHA-1 is all that the protocol asks for, and nothing here is kept secret by it.
 * Source:  RFC 6455 4.1, 4.2.2 (5.4); FIPS 180-4 6.1. */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stdbool.h>

#include "base/str.h"

enum { WEBSOCKET_KEY = 24, WEBSOCKET_ACCEPT = 28 };

void websocket_make_key(char key[WEBSOCKET_KEY]);           /* at random */
bool websocket_answer(str key, char accept[WEBSOCKET_ACCEPT]); /* false: not as long as a key is */
bool websocket_fits(str key, str accept);                   /* the answer to that key and no other */

#endif
