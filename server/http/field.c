/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/field.h"
#include "http/chars.h"

enum { FIRST_ROOM = 32, NAME_MOST = 256 };

bool field_name_is_valid(str name)
{
    return name.n >= 1 && name.n <= NAME_MOST && chars_span(name.p, name.p + name.n, CHAR_TOKEN) == name.p + name.n;
}

bool field_value_is_valid(str value)
{
    return !chars_have_control(value);
}

void fields_init(struct fields *fields, struct arena *arena)
{
    *fields = (struct fields){ .arena = arena };
}

bool fields_grow(struct fields *fields)
{
    uint32_t room = fields->room ? fields->room * 2 : FIRST_ROOM;
    struct field *items;

    if (room < fields->room)
        return false;
    items = arena_alloc(fields->arena, room * sizeof *items);
    if (!items)
        return false;
    if (fields->count)
        memcpy(items, fields->items, fields->count * sizeof *items);
    fields->items = items;
    fields->room = room;
    return true;
}

bool fields_add(struct fields *fields, str name, str value)
{
    return field_name_is_valid(name) && field_value_is_valid(value) &&
           fields_append(fields, field_intern(name), name, value);
}

static inline bool is_named(const struct field *field, enum field_id id, str name)
{
    return field->id == id && (id != FIELD_OTHER || str_equal_nocase(field->name, name));
}

/* Removes the fields so named from index `from` on; keeps the order of the others. */
static uint32_t remove_from(struct fields *fields, uint32_t from, enum field_id id, str name)
{
    uint32_t kept = from;

    for (uint32_t i = from; i < fields->count; i++) {
        if (is_named(&fields->items[i], id, name))
            continue;
        if (kept != i)
            fields->items[kept] = fields->items[i];
        kept++;
    }
    from = fields->count - kept;
    fields->count = kept;
    return from;
}

static bool set(struct fields *fields, enum field_id id, str name, str value)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!is_named(&fields->items[i], id, name))
            continue;
        fields->items[i].name = name;
        fields->items[i].value = value;
        remove_from(fields, i + 1, id, name);
        return true;
    }
    return fields_append(fields, id, name, value);
}

bool fields_set(struct fields *fields, str name, str value)
{
    return field_name_is_valid(name) && field_value_is_valid(value) && set(fields, field_intern(name), name, value);
}

bool fields_set_id(struct fields *fields, enum field_id id, str value)
{
    return field_value_is_valid(value) && set(fields, id, field_name(id), value);
}

uint32_t fields_remove(struct fields *fields, str name)
{
    return remove_from(fields, 0, field_intern(name), name);
}

uint32_t fields_remove_id(struct fields *fields, enum field_id id)
{
    const struct field *first = fields_find_id(fields, id);

    return first ? remove_from(fields, (uint32_t)(first - fields->items), id, field_name(id)) : 0;
}

const struct field *fields_find(const struct fields *fields, str name)
{
    enum field_id id = field_intern(name);

    for (uint32_t i = 0; i < fields->count; i++) {
        if (is_named(&fields->items[i], id, name))
            return &fields->items[i];
    }
    return NULL;
}

str fields_get(const struct fields *fields, enum field_id id)
{
    const struct field *field = fields_find_id(fields, id);

    return field ? field->value : STR_NONE;
}

uint32_t fields_count_id(const struct fields *fields, enum field_id id)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fields->count; i++)
        count += fields->items[i].id == id;
    return count;
}

str fields_join(const struct fields *fields, enum field_id id, struct arena *arena)
{
    str all = STR_NONE;

    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != id)
            continue;
        str parts[] = { all, S(", "), fields->items[i].value };
        all = all.p ? arena_concat(arena, parts, 3) : fields->items[i].value;
        if (!all.p)
            return STR_NONE;
    }
    return all;
}

bool fields_has_token(const struct fields *fields, enum field_id id, str token)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        str rest = fields->items[i].value, element;

        if (fields->items[i].id != id)
            continue;
        while (field_list_next(&rest, &element)) {
            if (str_equal_nocase(element, token))
                return true;
        }
    }
    return false;
}

static str copy_to(char **at, str s)
{
    str copy = { *at, s.n };

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

bool fields_copy(struct fields *to, const struct fields *from, struct arena *arena)
{
    struct fields copy = { .arena = arena, .room = from->count };
    size_t bytes = 0;
    char *at;

    for (uint32_t i = 0; i < from->count; i++)
        bytes += from->items[i].name.n + from->items[i].value.n;
    if (from->count) {
        copy.items = arena_alloc(arena, from->count * sizeof *copy.items);
        at = arena_alloc(arena, bytes);
        if (!copy.items || !at)
            return false;
        for (uint32_t i = 0; i < from->count; i++) {
            const struct field *field = &from->items[i];
            str name = copy_to(&at, field->name), value = copy_to(&at, field->value);

            fields_append(&copy, field->id, name, value);
        }
    }
    *to = copy;
    return true;
}

bool field_is_hop_by_hop(enum field_id id)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

/* Marks what one Connection value names, by taking the name away. Names that this server knows are never touched: those
 * that are hop-by-hop go anyway, the others are meant for all recipients and may not be named (RFC 9110 7.6.1). */
static void mark_named(struct fields *fields, str rest)
{
    str option;

    while (field_list_next(&rest, &option)) {
        if (str_equal_nocase(option, S("close")) || field_intern(option) != FIELD_OTHER)
            continue;
        for (uint32_t i = 0; i < fields->count; i++) {
            struct field *field = &fields->items[i];

            if (field->id == FIELD_OTHER && str_equal_nocase(field->name, option))
                field->name.n = 0;
        }
    }
}

void fields_remove_hop_by_hop(struct fields *fields)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == FIELD_CONNECTION)
            mark_named(fields, fields->items[i].value);
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];

        if (field->name.n == 0 || field_is_hop_by_hop(field->id))
            continue;
        if (kept != i)
            fields->items[kept] = *field;
        kept++;
    }
    fields->count = kept;
}

/* Where the first list element ends. */
static size_t element_end(str s)
{
    bool quoted = false;

    if (!memchr(s.p, ',', s.n)) /* the only one, quoted or not: nearly always */
        return s.n;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            quoted = !quoted;
        else if (quoted && s.p[i] == '\\')
            i++;
        else if (!quoted && s.p[i] == ',')
            return i;
    }
    return s.n;
}

bool field_list_next(str *rest, str *element)
{
    while (rest->n) {
        size_t n = element_end(*rest);
        str found = str_trim(str_upto(*rest, n));

        *rest = str_from(*rest, n + 1);
        if (found.n) {
            *element = found;
            return true;
        }
    }
    return false;
}
