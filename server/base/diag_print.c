/* SPDX-License-Identifier: BSD-2-Clause */
/* diag_print.c: findings as people read them: quoted line, carets, hint. */
#include "base/diag.h"
#include "base/mem.h"
#include "base/out.h"

/* A quoted line is cut to about so many bytes around its column, of which so many stand before it. */
enum { COLUMNS = 100, COLUMNS_BEFORE = 40 };

/* Room for what one quoted line, its caret line and the frames take at most, beside file, message and hint. */
enum { QUOTE_ROOM = 4 * COLUMNS + 2 * COLUMNS + 160 };

/* The part of a line that is shown: text[from, to), with "..." where it was cut. */
struct window {
    str text;
    size_t from, to;
    size_t at; /* the caret, in text */
};

static bool starts_char(str s, size_t i)
{
    return i >= s.n || ((unsigned char)s.p[i] & 0xc0) != 0x80;
}

static str without_line_end(str s)
{
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

static struct window window_of(const struct place *place)
{
    struct window w = { .text = without_line_end(place->text) };
    w.at = place->column ? place->column - 1 : 0;
    if (w.at > w.text.n)
        w.at = w.text.n; /* just behind the end: something is missing there */
    w.to = w.text.n;
    if (w.text.n <= COLUMNS)
        return w;
    if (w.at > COLUMNS_BEFORE)
        w.from = w.at - COLUMNS_BEFORE;
    if (w.from > w.text.n - COLUMNS)
        w.from = w.text.n - COLUMNS;
    w.to = w.from + COLUMNS;
    /* Never within a character; at most three steps when the text is UTF-8, and bounded by the caret when it is not. */
    while (w.from < w.at && !starts_char(w.text, w.from))
        w.from++;
    while (w.to > w.at + 1 && !starts_char(w.text, w.to))
        w.to--;
    return w;
}

/* One column a character, so that the carets below stand right: what does not print becomes '?'. */
static void put_quoted(struct out *out, str s)
{
    while (s.n) {
        unsigned char c = (unsigned char)s.p[0];
        size_t n = str_utf8_length(s);
        bool prints =
            c == '\t' || (n == 1 && c >= 0x20 && c != 0x7f) || (n > 1 && !(c == 0xc2 && (unsigned char)s.p[1] < 0xa0));
        out_str(out, prints ? str_upto(s, n) : S("?"));
        s = str_from(s, n ? n : 1);
    }
}

/* `first` for the first column, `rest` for each further one, counted as put_quoted counts; padding keeps tabs. */
static void put_columns(struct out *out, str s, char first, char rest)
{
    for (char c = first; s.n; c = rest) {
        bool keep_tab = c == ' ' && s.p[0] == '\t';
        out_char(out, keep_tab ? '\t' : c);
        size_t n = str_utf8_length(s);
        s = str_from(s, n ? n : 1);
    }
}

static void put_margin(struct out *out, uint32_t line)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%4u", line);
    for (int i = 0; i < n; i++)
        out_char(out, ' ');
    out_str(out, S(" |"));
}

static void put_caret_line(struct out *out, const struct diag *diag, const struct window *w)
{
    put_margin(out, diag->place.line);
    out_str(out, w->from ? S("    ") : S(" ")); /* as wide as the "..." above it */
    put_columns(out, (str){ w->text.p + w->from, w->at - w->from }, ' ', ' ');
    size_t length = diag->place.length;
    if (length > w->to - w->at)
        length = w->to - w->at;
    if (length)
        put_columns(out, (str){ w->text.p + w->at, length }, '^', '~');
    else
        out_char(out, '^');
    if (diag->hint.n) {
        out_char(out, ' ');
        out_printable(out, diag->hint);
    }
    out_char(out, '\n');
}

static void put_quote(struct out *out, const struct diag *diag)
{
    char number[24];
    struct window w = window_of(&diag->place);
    snprintf(number, sizeof(number), "%4u | ", diag->place.line);
    out_str(out, str_of(number));
    out_str(out, w.from ? S("...") : S(""));
    put_quoted(out, (str){ w.text.p + w.from, w.to - w.from });
    out_str(out, w.to < w.text.n ? S("...\n") : S("\n"));
    if (diag->place.column)
        put_caret_line(out, diag, &w);
}

static void put_head(struct out *out, const struct diag *diag)
{
    const struct place *place = &diag->place;
    if (place->file.n) {
        out_printable(out, place->file);
        if (place->line) {
            out_char(out, ':');
            out_u64(out, place->line);
        }
        if (place->line && place->column) {
            out_char(out, ':');
            out_u64(out, place->column);
        }
        out_str(out, S(": "));
    }
    out_str(out, diag->severity == SEVERITY_ERROR ? S("error: ") : S("warning: "));
    out_printable(out, diag->message);
    out_char(out, '\n');
}

static void put_diag(struct out *out, const struct diag *diag)
{
    const struct place *place = &diag->place;
    bool quoted = place->line && place->text.n;
    put_head(out, diag);
    if (quoted)
        put_quote(out, diag);
    if (diag->hint.n && !(quoted && place->column)) { /* no caret for it to stand behind */
        put_margin(out, place->line);
        out_char(out, ' ');
        out_printable(out, diag->hint);
        out_char(out, '\n');
    }
}

static size_t room_for(const struct diag *diag)
{
    return 4 * (diag->place.file.n + diag->message.n + diag->hint.n) + QUOTE_ROOM;
}

/* All findings, those of one file together (files as they first came up), in the order of their lines. */
struct listing {
    const struct diag *items[DIAG_MOST];
    uint32_t ranks[DIAG_MOST]; /* of the item's file */
    size_t count;
    size_t errors, warnings; /* among the items */
    size_t room;
};

static uint32_t rank_of(const struct listing *list, str file)
{
    uint32_t most = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i]->place.file, file))
            return list->ranks[i];
        if (list->ranks[i] >= most)
            most = list->ranks[i] + 1;
    }
    return most;
}

static void insert(struct listing *list, const struct diag *diag)
{
    uint32_t rank = rank_of(list, diag->place.file);
    size_t at = list->count++;
    for (; at > 0; at--) {
        const struct diag *before = list->items[at - 1];
        bool stays =
            list->ranks[at - 1] < rank || (list->ranks[at - 1] == rank && before->place.line <= diag->place.line);
        if (stays)
            break;
        list->items[at] = before;
        list->ranks[at] = list->ranks[at - 1];
    }
    list->items[at] = diag;
    list->ranks[at] = rank;
}

static void list_of(const struct diags *diags, struct listing *list)
{
    list->count = list->errors = list->warnings = 0;
    list->room = 128; /* for the "more" line */
    for (const struct diag *diag = diags->first; diag && list->count < DIAG_MOST; diag = diag->next) {
        insert(list, diag);
        list->room += room_for(diag);
        if (diag->severity == SEVERITY_ERROR)
            list->errors++;
        else
            list->warnings++;
    }
}

/* "and 3 more errors, 1 more warning" */
static void put_more(struct out *out, const struct diags *diags, const struct listing *list)
{
    size_t errors = diags->errors - list->errors, warnings = diags->warnings - list->warnings;
    if (!errors && !warnings)
        return;
    out_str(out, S("and "));
    if (errors) {
        out_u64(out, errors);
        out_str(out, errors == 1 ? S(" more error") : S(" more errors"));
    }
    if (errors && warnings)
        out_str(out, S(", "));
    if (warnings) {
        out_u64(out, warnings);
        out_str(out, warnings == 1 ? S(" more warning") : S(" more warnings"));
    }
    out_char(out, '\n');
}

/* Everything in one text that the caller frees; {NULL, 0} without memory. */
static struct out render(const struct diags *diags)
{
    struct listing list;
    list_of(diags, &list);
    struct out out = { .room = list.room };
    out.p = mem_alloc(out.room);
    if (!out.p)
        return (struct out){ 0 };
    for (size_t i = 0; i < list.count; i++)
        put_diag(&out, list.items[i]);
    put_more(&out, diags, &list);
    return out;
}

void diags_print(const struct diags *diags, FILE *file)
{
    struct out out = render(diags);
    if (out.p)
        fwrite(out.p, 1, out.n, file);
    else
        fprintf(file, "%u errors, %u warnings, and no memory left to show them\n", diags->errors, diags->warnings);
    mem_free(out.p);
}

str diags_render(const struct diags *diags, struct arena *arena)
{
    struct out out = render(diags);
    str text = out.p ? arena_str(arena, (str){ out.p, out.n }) : STR_NONE;
    mem_free(out.p);
    return text;
}
