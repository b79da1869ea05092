/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/chars.h"

enum {
    QUERY = CHAR_QUERY | CHAR_QUOTED,
    PATH = CHAR_PATH | QUERY,
    TOKEN = CHAR_TOKEN | QUERY,
    WORD = CHAR_TOKEN | CHAR_UNRESERVED | CHAR_HOST | PATH,
    CAPITAL = CHAR_TOKEN | CHAR_UNRESERVED | CHAR_UPPER | PATH,
};

const uint8_t char_classes[256] = {
    ['\t'] = CHAR_QUOTED,
    [' '] = CHAR_QUOTED,
    ['0' ... '9'] = WORD,
    ['a' ... 'z'] = WORD,
    ['A' ... 'Z'] = CAPITAL,
    ['-'] = WORD,
    ['.'] = WORD,
    ['_'] = WORD,
    ['~'] = WORD,
    /* sub-delims */
    ['!'] = CHAR_TOKEN | CHAR_HOST | PATH,
    ['$'] = CHAR_TOKEN | CHAR_HOST | PATH,
    ['&'] = CHAR_TOKEN | CHAR_HOST | PATH,
    ['\''] = CHAR_TOKEN | CHAR_HOST | PATH,
    ['+'] = CHAR_TOKEN | CHAR_HOST | PATH,
    ['*'] = CHAR_TOKEN | PATH, /* no host: it would spell a wildcard of the configuration */
    ['('] = CHAR_HOST | PATH,
    [')'] = CHAR_HOST | PATH,
    [';'] = CHAR_HOST | PATH,
    ['='] = CHAR_HOST | PATH,
    [','] = PATH, /* no host: two Host fields joined by a middlebox look like this */
    /* gen-delims and the rest */
    [':'] = PATH,
    ['@'] = PATH,
    ['/'] = QUERY,
    ['?'] = QUERY,
    ['['] = QUERY,
    [']'] = QUERY,
    ['#'] = CHAR_TOKEN | CHAR_QUOTED,
    ['%'] = TOKEN,
    ['^'] = TOKEN,
    ['`'] = TOKEN,
    ['|'] = TOKEN,
    ['<'] = QUERY,
    ['>'] = QUERY,
    ['{'] = QUERY,
    ['}'] = QUERY,
    ['"'] = CHAR_QUERY,
    ['\\'] = CHAR_QUERY,
    [0x80 ... 0xff] = QUERY,
};
