/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/h1_fields.h"
#include "http/chars.h"

#include <assert.h>

enum { NAME_MOST = 256 };

static const char *why_no_name(const char *name, const char *at)
{
    if (name == at && (*at == ' ' || *at == '\t'))
        return "folded header field or white space before the first one";
    if (*at == ' ' || *at == '\t')
        return "white space before the colon of a header field";
    return at[0] == '\r' && name != at ? "header field without a colon" : "invalid character in a header field name";
}

/* field-name of the line, up to the colon. A name that is known is a token; only others are looked at byte by byte. */
static const char *read_name(const char *p, const char *end, struct field *out)
{
    const char *stop = end - p > NAME_MOST + 1 ? p + NAME_MOST + 1 : end;
    const char *colon = chars_find_colon(p, stop), *at;

    out->name = (str){ p, (size_t)(colon - p) };
    out->id = field_intern(out->name);
    if (out->id != FIELD_OTHER && colon != stop)
        return NULL;
    at = chars_span(p, stop, CHAR_TOKEN);
    if (at == stop && stop != end)
        return "header field name longer than 256 bytes";
    if (at == colon && at != p)
        return NULL;
    return at == colon ? "header field without a name" : why_no_name(p, at);
}

const char *h1_read_field(const char **p, const char *end, struct field *out)
{
    const char *why = read_name(*p, end, out), *at, *value, *stop;

    if (why)
        return why;
    for (at = out->name.p + out->name.n + 1; *at == ' ' || *at == '\t'; at++)
        ;
    value = at;
    at = chars_find_control(at, end);
    if (at[0] != '\r' || at[1] != '\n') /* at[0] being CR is not the last byte */
        return *at == '\r' ? "bare CR in a header field" : *at == '\n' ? "bare LF in a header field"
                                                                       : "control character in a header field";
    for (stop = at; stop > value && (stop[-1] == ' ' || stop[-1] == '\t'); stop--)
        ;
    out->value = (str){ value, (size_t)(stop - value) };
    *p = at + 2;
    return NULL;
}

static inline bool is_word(str s, str word)
{
    return s.n == word.n && str_equal_nocase(s, word);
}

static bool names_end_to_end(str option)
{
    enum field_id id = field_intern(option);

    return id != FIELD_OTHER && !field_is_hop_by_hop(id);
}

static void note_connection(struct head_facts *facts, str rest)
{
    str option;

    while (field_list_next(&rest, &option)) {
        if (is_word(option, S("close")))
            facts->says_close = true;
        else if (is_word(option, S("keep-alive")))
            facts->says_keep_alive = true;
        else if (is_word(option, S("upgrade")))
            facts->says_upgrade = true;
        else
            facts->names_end_to_end |= names_end_to_end(option);
    }
}

static void note_expect(struct head_facts *facts, str rest)
{
    str expectation;

    while (field_list_next(&rest, &expectation)) {
        if (str_equal_nocase(expectation, S("100-continue")))
            facts->expects_continue = true;
        else
            facts->expects_other = true;
    }
}

static void note(struct head_facts *facts, const struct field *field)
{
    switch (field->id) {
    case FIELD_HOST:
        facts->hosts++;
        facts->host = field->value;
        break;
    case FIELD_CONTENT_LENGTH:
        facts->lengths++;
        facts->length = field->value;
        break;
    case FIELD_TRANSFER_ENCODING:
        facts->codings++;
        facts->coding = field->value;
        break;
    case FIELD_CONNECTION:
        note_connection(facts, field->value);
        break;
    case FIELD_EXPECT:
        note_expect(facts, field->value);
        break;
    case FIELD_UPGRADE:
        if (facts->upgrade.n == 0)
            facts->upgrade = field->value;
        break;
    default:
        break;
    }
}

bool h1_read_fields(const char *p, const char *end, uint32_t most, struct fields *fields, struct head_facts *facts,
                    struct h1_error *error)
{
    while (*p != '\r') {
        struct field *field;
        const char *why;

        if (fields->count == fields->room && !fields_grow(fields))
            return h1_fail(error, 500, "out of memory");
        field = &fields->items[fields->count];
        why = h1_read_field(&p, end, field);
        if (why)
            return h1_fail(error, 400, why);
        if (fields->count == most)
            return h1_fail(error, 431, "too many header fields");
        fields->count++;
        note(facts, field);
        assert(p < end); /* a line ends at the first CRLF, and the head ends in two of them */
    }
    if (end - p != 2)
        return h1_fail(error, 400, p[1] == '\n' ? "empty line inside the head" : "bare CR in the head");
    return true;
}

/* Anything but one final "chunked": 501 for codings that may well exist, 400 for framing that could be read in two
 * ways. */
static bool refuse_coding(str value, struct h1_error *error)
{
    str rest = value, coding;
    unsigned count = 0, chunked = 0;
    bool is_last = false;

    for (; field_list_next(&rest, &coding); count++) {
        str name = str_upto(coding, str_find(coding, ';'));

        is_last = str_equal_nocase(name, S("chunked"));
        if (!field_name_is_valid(name) || (is_last && name.n != coding.n))
            return h1_fail(error, 400, "malformed Transfer-Encoding");
        chunked += is_last;
    }
    if (count == chunked && count <= 1) /* nothing, or chunked among empty elements */
        return h1_fail(error, 400, "malformed Transfer-Encoding");
    if (chunked > 1 || (chunked == 1 && !is_last))
        return h1_fail(error, 400, "chunked is not the one final transfer coding");
    return h1_fail(error, 501, "transfer coding other than chunked");
}

bool h1_read_framing(const struct head_facts *facts, int minor, enum body_kind *kind, uint64_t *length,
                     struct h1_error *error)
{
    if (facts->codings) {
        if (minor < 1)
            return h1_fail(error, 400, "Transfer-Encoding in HTTP/1.0");
        if (facts->lengths)
            return h1_fail(error, 400, "both Transfer-Encoding and Content-Length");
        if (facts->codings > 1)
            return h1_fail(error, 400, "several Transfer-Encoding fields");
        if (!str_equal_nocase(facts->coding, S("chunked")))
            return refuse_coding(facts->coding, error);
        *kind = BODY_CHUNKED;
        return true;
    }
    *kind = BODY_NONE;
    if (facts->lengths == 0)
        return true;
    if (facts->lengths > 1)
        return h1_fail(error, 400, "several Content-Length fields");
    if (!str_to_u64(facts->length, length))
        return h1_fail(error, 400, "Content-Length is no number");
    *kind = BODY_LENGTH;
    return true;
}
