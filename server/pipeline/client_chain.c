/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/client_chain.h"

#include "http/chars.h"
#include "net/addr.h"

enum { NODE_MOST = 64 }; /* brackets, the longest address, a port */

/* -- lists --------------------------------------------------------------------------------------------------------- */

/* A quote behind an odd number of backslashes is part of a quoted string. */
static bool is_escaped(str list, size_t at)
{
    size_t backslashes = 0;

    while (backslashes < at && list.p[at - backslashes - 1] == '\\')
        backslashes++;
    return backslashes % 2 != 0;
}

bool chain_cut_last(str *list, bool *rest, str *element)
{
    bool is_quoted = false;
    size_t at = list->n;

    if (!*rest)
        return false;
    for (; at > 0; at--) {
        char c = list->p[at - 1];
        if (c == '"' && !is_escaped(*list, at - 1))
            is_quoted = !is_quoted;
        else if (c == ',' && !is_quoted)
            break;
    }
    *element = str_trim(str_from(*list, at));
    *list = str_upto(*list, at ? at - 1 : 0);
    *rest = at > 0;
    return true;
}

/* -- X-Forwarded-For ----------------------------------------------------------------------------------------------- */

static bool read_port(str text, uint16_t *port)
{
    uint64_t number;

    if (text.n == 0 || text.n > 5 || !str_to_u64(text, &number) || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* What stands behind an address. RFC 7239 6.3: a port may be hidden as well ("_" and a name). */
static bool read_port_part(str text, uint16_t *port)
{
    *port = 0;
    if (text.n == 0)
        return true;
    if (text.p[0] != ':')
        return false;
    text = str_from(text, 1);
    if (text.n < 2 || text.p[0] != '_')
        return read_port(text, port);
    for (size_t i = 1; i < text.n; i++)
        if (!isalnum((unsigned char)text.p[i]) && !strchr("._-", text.p[i]))
            return false;
    return true;
}

bool chain_read_for(str element, struct chain_hop *hop)
{
    struct chain_hop found = { .port = 0 };
    size_t end;

    if (element.n > NODE_MOST || memchr(element.p ? element.p : "", 0, element.n))
        return false;
    if (addr_ip_bytes(element, found.address)) {
        *hop = found;
        return true;
    }
    if (element.n && element.p[0] == '[') {
        str inside = str_upto(element, str_find(element, ']'));
        end = inside.n + 1;
        if (end > element.n || str_find(inside, ':') == inside.n || !addr_ip_bytes(str_from(inside, 1), found.address))
            return false;
    } else {
        end = str_find(element, ':');
        if (end == element.n || !addr_ip_bytes(str_upto(element, end), found.address))
            return false;
    }
    if (!read_port_part(str_from(element, end), &found.port))
        return false;
    *hop = found;
    return true;
}

/* -- Forwarded ----------------------------------------------------------------------------------------------------- */

/* The next pair, up to a semicolon outside of quotes. */
static bool cut_pair(str *rest, str *pair)
{
    bool is_quoted = false;
    size_t at = 0;

    if (!rest->p)
        return false;
    for (; at < rest->n; at++) {
        char c = rest->p[at];
        if (is_quoted && c == '\\')
            at++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == ';' && !is_quoted)
            break;
    }
    if (is_quoted || at > rest->n)
        at = rest->n;
    *pair = str_trim(str_upto(*rest, at));
    *rest = at < rest->n ? str_from(*rest, at + 1) : STR_NONE;
    return true;
}

/* A token as it is, or a quoted string without its quotes and backslashes. */
static bool unquote(str value, char room[NODE_MOST], str *out)
{
    size_t n = 0;

    if (!value.n || value.p[0] != '"') {
        *out = value;
        return !memchr(value.p ? value.p : "", '"', value.n);
    }
    size_t i = 1;
    for (; i < value.n && value.p[i] != '"'; i++) {
        if (value.p[i] == '\\')
            i++;
        if (i >= value.n || n == NODE_MOST)
            return false;
        room[n++] = value.p[i];
    }
    *out = (str){ room, n };
    return i + 1 == value.n;
}

/* RFC 7239 4: each parameter once in an element; two answers to one question are none. */
bool chain_read_forwarded(str element, struct chain_hop *hop)
{
    str pair, node, value = STR_NONE;
    char room[NODE_MOST];
    bool found = false;

    while (cut_pair(&element, &pair)) {
        if (!str_has_prefix_nocase(pair, S("for=")))
            continue;
        if (found)
            return false;
        found = true;
        value = str_from(pair, 4);
    }
    return found && unquote(value, room, &node) && chain_read_for(node, hop);
}
