/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/exposition.h"

#include <assert.h>

/* -- pieces -------------------------------------------------------------------------------------------------------- */

static void put_escaped(struct out *out, str text, bool quotes)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' || text.p[i] == '\n' || (quotes && text.p[i] == '"'))
            out_char(out, '\\');
        out_char(out, text.p[i] == '\n' ? 'n' : text.p[i]);
    }
}

static void put_value(struct out *out, str value)
{
    static const char digits[] = "0123456789abcdef";
    size_t n;

    for (size_t i = 0; i < value.n; i += n ? n : 1) {
        n = (unsigned char)value.p[i] < 0x80 ? 1 : str_utf8_length(str_from(value, i));
        if (n) {
            put_escaped(out, (str){ value.p + i, n }, true);
            continue;
        }
        out_str(out, S("\\\\x"));
        out_char(out, digits[(unsigned char)value.p[i] >> 4]);
        out_char(out, digits[(unsigned char)value.p[i] & 15]);
    }
}

static void put_labels(struct out *out, const struct expo_label *labels, unsigned count)
{
    if (!count)
        return;
    out_char(out, '{');
    for (unsigned i = 0; i < count; i++) {
        if (i)
            out_char(out, ',');
        out_str(out, str_of(labels[i].name));
        out_str(out, S("=\""));
        put_value(out, labels[i].value);
        out_char(out, '"');
    }
    out_char(out, '}');
}

static void put_before_value(struct out *out, const char *name, const char *suffix, const struct expo_label *labels,
                             unsigned count)
{
    out_str(out, str_of(name));
    out_str(out, str_of(suffix));
    put_labels(out, labels, count);
    out_char(out, ' ');
}

/* value / 10^places, without needless zeros at the end */
static void put_decimal(struct out *out, uint64_t value, unsigned places)
{
    char digits[16];
    uint64_t unit = 1;

    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    out_u64(out, value / unit);
    uint64_t rest = value % unit;
    if (!rest)
        return;
    for (unsigned i = places; i-- > 0; rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    while (digits[places - 1] == '0')
        places--;
    out_char(out, '.');
    out_bytes(out, digits, places);
}

/* -- lines --------------------------------------------------------------------------------------------------------- */

void expo_family(struct out *out, const char *name, const char *kind, const char *help)
{
    out_str(out, S("# HELP "));
    out_str(out, str_of(name));
    out_char(out, ' ');
    put_escaped(out, str_of(help ? help : ""), false);
    out_str(out, S("\n# TYPE "));
    out_str(out, str_of(name));
    out_char(out, ' ');
    out_str(out, str_of(kind));
    out_char(out, '\n');
}

void expo_u64(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t value)
{
    put_before_value(out, name, "", labels, count);
    out_u64(out, value);
    out_char(out, '\n');
}

void expo_i64(struct out *out, const char *name, const struct expo_label *labels, unsigned count, int64_t value)
{
    put_before_value(out, name, "", labels, count);
    if (value < 0)
        out_char(out, '-');
    out_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    out_char(out, '\n');
}

void expo_us(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t us)
{
    put_before_value(out, name, "", labels, count);
    put_decimal(out, us, 6);
    out_char(out, '\n');
}

void expo_ns(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t ns)
{
    put_before_value(out, name, "", labels, count);
    put_decimal(out, ns, 9);
    out_char(out, '\n');
}

void expo_latency(struct out *out, const char *name, const struct expo_label *labels, unsigned count,
                  const uint64_t *row)
{
    struct expo_label all[EXPO_LABELS_MOST + 1];
    uint64_t so_far = 0;
    char room[24];

    assert(count <= EXPO_LABELS_MOST);
    for (unsigned i = 0; i < count; i++)
        all[i] = labels[i];
    for (unsigned i = 0; i <= LATENCY_BOUNDS; i++) {
        struct out bound = { .p = room, .room = sizeof(room) };
        if (i < LATENCY_BOUNDS)
            put_decimal(&bound, latency_bound[i], 6);
        else
            out_str(&bound, S("+Inf"));
        all[count] = (struct expo_label){ "le", { room, bound.n } };
        so_far += row[i];
        put_before_value(out, name, "_bucket", all, count + 1);
        out_u64(out, so_far);
        out_char(out, '\n');
    }
    put_before_value(out, name, "_sum", labels, count);
    put_decimal(out, row[LATENCY_SUM], 6);
    out_char(out, '\n');
    put_before_value(out, name, "_count", labels, count);
    out_u64(out, so_far);
    out_char(out, '\n');
}
