/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/value.h"
#include "base/diag.h"

#include <inttypes.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest last, so that printing finds it by going backwards. */
static const struct unit sizes[] = { { "", 1 }, { "k", 1u << 10 }, { "m", 1u << 20 }, { "g", 1u << 30 } };
static const struct unit durations[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
};
static const struct unit periods[] = { { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 } };
enum { SIZES = 4, DURATIONS = 5, PERIODS = 3 };

uint32_t value_size(uint32_t type)
{
    switch (type) {
    case WEIR_TYPE_FLAG: return sizeof(bool);
    case WEIR_TYPE_UINT:
    case WEIR_TYPE_SIZE:
    case WEIR_TYPE_DURATION: return sizeof(uint64_t);
    case WEIR_TYPE_RATE: return sizeof(struct weir_rate);
    case WEIR_TYPE_ENUM: return sizeof(uint32_t);
    case WEIR_TYPE_STR:
    case WEIR_TYPE_PATH: return sizeof(weir_str);
    case WEIR_TYPE_TEMPLATE:
    case WEIR_TYPE_UPSTREAM: return sizeof(void *);
    case WEIR_TYPE_CIDR: return sizeof(struct weir_cidr);
    case WEIR_TYPE_PLACE: return sizeof(struct weir_place);
    default: return 0;
    }
}

static bool refuse(struct arena *arena, struct value_error *error, str hint, str text, const char *what)
{
    error->message = arena_printf(arena, "\"" STR_FMT "\" %s", STR_ARG(str_upto(text, 200)), what);
    error->hint = hint;
    return false;
}

static bool read_flag(str text, struct arena *arena, bool *to, struct value_error *error)
{
    static const char *const yes[] = { "yes", "true", "1", "ON", "On", "enable", "enabled" };
    static const char *const no[] = { "no", "false", "0", "OFF", "Off", "disable", "disabled" };
    bool on = str_equal(text, S("on"));
    if (on || str_equal(text, S("off"))) {
        *to = on;
        return true;
    }
    str hint = S("on or off");
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (str_equal(text, str_of(yes[i])))
            hint = S("did you mean \"on\"?");
        if (str_equal(text, str_of(no[i])))
            hint = S("did you mean \"off\"?");
    }
    return refuse(arena, error, hint, text, "is neither on nor off");
}

/* How many digits text begins with. */
static size_t digits(str text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return n;
}

static bool read_number(str text, struct arena *arena, uint64_t *to, struct value_error *error)
{
    if (text.n == 0 || digits(text) < text.n)
        return refuse(arena, error, S("decimal digits, as in 42"), text, "is no number");
    return str_to_u64(text, to) || refuse(arena, error, STR_NONE, text, "is too large");
}

static const struct unit *find_unit(const struct unit *units, size_t count, str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal_nocase(name, str_of(units[i].name)))
            return &units[i];
    return NULL;
}

static bool read_size(str text, struct arena *arena, uint64_t *to, struct value_error *error)
{
    size_t n = digits(text);
    uint64_t number;
    const struct unit *unit = find_unit(sizes, SIZES, str_from(text, n));
    if (n == 0 || !unit)
        return refuse(arena, error, S("as in 512, 16k, 1m or 2g"), text, "is no size");
    if (!str_to_u64(str_upto(text, n), &number) || number > UINT64_MAX / unit->factor)
        return refuse(arena, error, STR_NONE, text, "is too large");
    *to = number * unit->factor;
    return true;
}

static bool read_duration(str text, struct arena *arena, uint64_t *to, struct value_error *error)
{
    size_t n = digits(text);
    uint64_t number;
    str name = str_from(text, n);
    const struct unit *unit = find_unit(durations, DURATIONS, name);
    bool is_zero = n == 1 && text.n == 1 && text.p[0] == '0'; /* the one number that needs no unit */
    if (n > 0 && name.n == 0 && !is_zero)
        return refuse(
            arena, error,
            arena_printf(arena, "did you mean \"" STR_FMT "s\"? (ms, s, m, h, d)", STR_ARG(str_upto(text, 200))), text,
            "has no unit");
    if (n == 0 || (!unit && !is_zero))
        return refuse(arena, error, S("as in 500ms, 5s, 10m, 1h or 7d"), text, "is no duration");
    uint64_t factor = unit ? unit->factor : 1;
    if (!str_to_u64(str_upto(text, n), &number) || number > UINT64_MAX / factor)
        return refuse(arena, error, STR_NONE, text, "is too large");
    *to = number * factor;
    return true;
}

static bool read_rate(str text, struct arena *arena, struct weir_rate *to, struct value_error *error)
{
    size_t n = digits(text);
    uint64_t number;
    str rest = str_from(text, n);
    const struct unit *unit = str_has_prefix(rest, S("r/")) ? find_unit(periods, PERIODS, str_from(rest, 2)) : NULL;
    if (n == 0 || !unit)
        return refuse(arena, error, S("as in 10r/s, 600r/m or 100r/h"), text, "is no rate");
    if (!str_to_u64(str_upto(text, n), &number))
        return refuse(arena, error, STR_NONE, text, "is too large");
    if (number == 0)
        return refuse(arena, error, S("at least one event a period"), text, "lets nothing pass");
    *to = (struct weir_rate){ number, unit->factor };
    return true;
}

str value_choice(const char *choices, uint32_t index)
{
    str rest = str_of(choices), item;
    for (uint32_t i = 0; str_split(&rest, '|', &item); i++)
        if (i == index)
            return item;
    return STR_NONE;
}

static bool read_enum(const char *choices, str text, struct arena *arena, uint32_t *to, struct value_error *error)
{
    enum { CHOICES_MOST = 64 };
    str all[CHOICES_MOST], rest = str_of(choices), item, list = STR_NONE;
    uint32_t count = 0;
    for (; count < CHOICES_MOST && str_split(&rest, '|', &item); count++) {
        all[count] = item;
        if (str_equal(item, text)) {
            *to = count;
            return true;
        }
        list = arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(list), list.n ? ", " : "", STR_ARG(item));
    }
    str nearest = diag_nearest(text, all, count);
    str hint = nearest.n ? arena_printf(arena, "did you mean \"" STR_FMT "\"?", STR_ARG(nearest)) : STR_NONE;
    str what = arena_printf(arena, count > 1 ? "is none of " STR_FMT : "is not " STR_FMT, STR_ARG(list));
    return refuse(arena, error, hint, text, what.p ? what.p : "is none of the choices");
}

bool value_read(uint32_t type, const char *choices, str text, struct arena *arena, void *to, struct value_error *error)
{
    switch (type) {
    case WEIR_TYPE_FLAG: return read_flag(text, arena, to, error);
    case WEIR_TYPE_UINT: return read_number(text, arena, to, error);
    case WEIR_TYPE_SIZE: return read_size(text, arena, to, error);
    case WEIR_TYPE_DURATION: return read_duration(text, arena, to, error);
    case WEIR_TYPE_RATE: return read_rate(text, arena, to, error);
    case WEIR_TYPE_ENUM: return read_enum(choices, text, arena, to, error);
    case WEIR_TYPE_CIDR: return value_read_cidr(text, arena, to, error);
    case WEIR_TYPE_PATH:
        if (text.n == 0)
            return refuse(arena, error, STR_NONE, text, "is no path");
        if (text.p[0] != '/')
            return refuse(arena, error, STR_NONE, text, "is no absolute path");
        /* fall through */
    case WEIR_TYPE_STR: {
        str copy = arena_str(arena, text);
        if (!copy.p)
            return refuse(arena, error, STR_NONE, text, "finds no memory");
        *(weir_str *)to = copy;
        return true;
    }
    default: return refuse(arena, error, STR_NONE, text, "cannot be read without its scope");
    }
}

static str print_number(uint64_t value, const struct unit *units, size_t count, struct arena *arena)
{
    size_t i = count - 1;
    while (i > 0 && (value == 0 || value % units[i].factor != 0))
        i--;
    return arena_printf(arena, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

static str print_rate(const struct weir_rate *rate, struct arena *arena)
{
    for (size_t i = 0; i < PERIODS; i++)
        if (periods[i].factor == rate->period)
            return arena_printf(arena, "%" PRIu64 "r/%s", rate->events, periods[i].name);
    return STR_NONE;
}

str value_print(uint32_t type, const char *choices, const void *value, struct arena *arena)
{
    switch (type) {
    case WEIR_TYPE_FLAG: return *(const bool *)value ? S("on") : S("off");
    case WEIR_TYPE_UINT: return arena_printf(arena, "%" PRIu64, *(const uint64_t *)value);
    case WEIR_TYPE_SIZE: return print_number(*(const uint64_t *)value, sizes, SIZES, arena);
    case WEIR_TYPE_DURATION: return print_number(*(const uint64_t *)value, durations, DURATIONS, arena);
    case WEIR_TYPE_RATE: return print_rate(value, arena);
    case WEIR_TYPE_ENUM: return value_choice(choices, *(const uint32_t *)value);
    case WEIR_TYPE_STR:
    case WEIR_TYPE_PATH: return *(const weir_str *)value;
    case WEIR_TYPE_CIDR: return value_print_cidr(value, arena);
    default: return STR_NONE;
    }
}
