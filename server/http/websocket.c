/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/websocket.h"

#include <stdint.h>
#include <string.h>

#include "base/hash.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum { GUID = sizeof(guid) - 1, ASKED = WEBSOCKET_KEY + GUID, SHA1 = 20, SHA1_BLOCK = 64 };

/* -- SHA-1 --------------------------------------------------------------------------------------------------------- */

static uint32_t turn(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

static void digest_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

    for (unsigned i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (unsigned i = 16; i < 80; i++)
        w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (unsigned i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = turn(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* Of key and GUID: 60 bytes, which with the length behind them fill two blocks. */
static void digest(const char asked[ASKED], uint8_t out[SHA1])
{
    uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    uint8_t blocks[2 * SHA1_BLOCK] = { 0 };

    memcpy(blocks, asked, ASKED);
    blocks[ASKED] = 0x80;
    blocks[sizeof(blocks) - 2] = ASKED * 8 >> 8;
    blocks[sizeof(blocks) - 1] = ASKED * 8 & 255;
    digest_block(h, blocks);
    digest_block(h, blocks + SHA1_BLOCK);
    for (unsigned i = 0; i < SHA1; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

/* -- base64 -------------------------------------------------------------------------------------------------------- */

/* RFC 4648 4 */
static void encode(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3, out += 4) {
        uint32_t three = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        out[0] = digits[three >> 18];
        out[1] = digits[three >> 12 & 63];
        out[2] = i + 1 < n ? digits[three >> 6 & 63] : '=';
        out[3] = i + 2 < n ? digits[three & 63] : '=';
    }
}

/* -- the handshake ------------------------------------------------------------------------------------------------- */

void websocket_make_key(char key[WEBSOCKET_KEY])
{
    uint8_t nonce[16];

    random_bytes(nonce, sizeof(nonce));
    encode(nonce, sizeof(nonce), key);
}

bool websocket_answer(str key, char accept[WEBSOCKET_ACCEPT])
{
    char asked[ASKED];
    uint8_t sum[SHA1];

    if (key.n != WEBSOCKET_KEY)
        return false;
    memcpy(asked, key.p, WEBSOCKET_KEY);
    memcpy(asked + WEBSOCKET_KEY, guid, GUID);
    digest(asked, sum);
    encode(sum, SHA1, accept);
    return true;
}

bool websocket_fits(str key, str accept)
{
    char due[WEBSOCKET_ACCEPT];

    return websocket_answer(key, due) && str_equal(accept, (str){ due, sizeof(due) });
}
