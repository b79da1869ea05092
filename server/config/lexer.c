/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/lexer.h"

/* A place quotes no more than this behind its column: a line may be a megabyte long, and places are made often. */
enum { QUOTE_MOST = 512 };

void lexer_init(struct lexer *lexer, const struct source *source, struct arena *arena, struct diags *diags)
{
    *lexer = (struct lexer){ .source = source, .arena = arena, .diags = diags, .line = 1, .fresh = true };
    if (str_has_prefix(source->text, S("\xef\xbb\xbf"))) /* a byte order mark */
        lexer->at = lexer->line_at = 3;
}

struct place place_in(const struct source *source, uint32_t line_at, uint32_t line, uint32_t column, uint32_t length)
{
    str text = str_from(source->text, line_at);
    text = str_upto(text, (size_t)column + QUOTE_MOST);
    size_t end = str_find(text, '\n');
    bool crlf = end < text.n && end > 0 && text.p[end - 1] == '\r';
    text.n = crlf ? end - 1 : end;
    if (column > 0 && column - 1 <= text.n && length > text.n - (column - 1))
        length = (uint32_t)(text.n - (column - 1)); /* a quoted word may go on in the next line */
    return (struct place){ .file = source->path, .line = line, .column = column, .length = length, .text = text };
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';' || c == '{' || c == '}' || is_control(c);
}

static bool has_more(const struct lexer *lexer)
{
    return lexer->at < lexer->source->text.n;
}

static char peek(const struct lexer *lexer)
{
    return lexer->source->text.p[lexer->at];
}

static bool at_line_end(const struct lexer *lexer)
{
    str rest = str_from(lexer->source->text, lexer->at);
    return rest.n == 0 || rest.p[0] == '\n' || (rest.p[0] == '\r' && rest.n > 1 && rest.p[1] == '\n');
}

static struct place place_here(const struct lexer *lexer, size_t from, size_t length)
{
    return place_in(lexer->source, lexer->line_at, lexer->line, (uint32_t)(from - lexer->line_at) + 1,
                    (uint32_t)length);
}

static void begin_line(struct lexer *lexer)
{
    lexer->line++;
    lexer->line_at = (uint32_t)lexer->at;
    lexer->fresh = true;
}

static void skip_comment(struct lexer *lexer)
{
    size_t from = lexer->at;
    while (has_more(lexer) && !at_line_end(lexer))
        lexer->at++;
    if (!lexer->fresh)
        return; /* it speaks of what stands before it */
    if (lexer->comment_line == 0 || lexer->comment_line + 1 != lexer->line)
        lexer->comment_from = from;
    lexer->comment_to = lexer->at;
    lexer->comment_line = lexer->line;
}

static void report_control(struct lexer *lexer)
{
    char c = peek(lexer);
    if (!lexer->told_control)
        diag_error(lexer->diags, place_here(lexer, lexer->at, 1), c == '\0' ? S("is this a text file?") : STR_NONE,
                   "control character 0x%02x", (unsigned)(unsigned char)c);
    lexer->told_control = true;
    lexer->at++;
    if (c == '\0') { /* nothing behind it would make sense to anybody */
        lexer->at = lexer->source->text.n;
        lexer->is_cut = true;
    }
}

static void skip_space(struct lexer *lexer)
{
    while (has_more(lexer)) {
        char c = peek(lexer);
        if (c == '\n') {
            lexer->at++;
            begin_line(lexer);
        } else if (c == ' ' || c == '\t' || at_line_end(lexer)) {
            lexer->at++;
        } else if (c == '#') {
            skip_comment(lexer);
        } else if (is_control(c)) {
            report_control(lexer);
        } else {
            return;
        }
    }
}

str lexer_comment_above(const struct lexer *lexer, uint32_t line)
{
    if (lexer->comment_line == 0 || lexer->comment_line + 1 != line)
        return STR_NONE;
    return (str){ lexer->source->text.p + lexer->comment_from, lexer->comment_to - lexer->comment_from };
}

/* Where a quote that begins at `open` ends (the closing one's index), or the text's end. */
static size_t find_closing(str text, size_t open)
{
    char quote = text.p[open];
    size_t i = open + 1;
    while (i < text.n && text.p[i] != quote)
        i += quote == '"' && text.p[i] == '\\' && i + 1 < text.n ? 2 : 1;
    return i;
}

/* A quote that is closed nowhere, or by the opening of a later one: the mistake is the one opened here. Reading goes
 * on at the last ';' of the line, which most likely was meant to end the statement. */
static size_t recover_unclosed(struct lexer *lexer, size_t open)
{
    str text = lexer->source->text;
    diag_error(lexer->diags, place_here(lexer, open, 1),
               text.p[open] == '"' ? S("did you forget the closing \"?") : S("did you forget the closing '?"),
               "unclosed quote");
    size_t end = open + 1, resume = 0;
    for (; end < text.n && text.p[end] != '\n'; end++)
        if (text.p[end] == ';')
            resume = end;
    if (end > open + 1 && end < text.n && text.p[end - 1] == '\r')
        end--; /* part of the line's end */
    return resume ? resume : end;
}

struct decoder {
    struct lexer *lexer;
    char *to;
    size_t n;
};

/* Backslashes at text[i]: those in front of a $ stay for the template, pairs become one, the rest is an escape. */
static size_t decode_backslashes(struct decoder *decoder, str text, size_t i, size_t base)
{
    size_t run = 0;
    while (i + run < text.n && text.p[i + run] == '\\')
        run++;
    bool before_dollar = i + run < text.n && text.p[i + run] == '$';
    size_t keep = before_dollar ? run : run / 2;
    memset(decoder->to + decoder->n, '\\', keep);
    decoder->n += keep;
    if (before_dollar || run % 2 == 0)
        return i + run;
    char c = i + run < text.n ? text.p[i + run] : '\\';
    if (c == 'n' || c == 't' || c == '"') {
        decoder->to[decoder->n++] = c == 'n' ? '\n' : c == 't' ? '\t' : '"';
    } else {
        size_t at = base + i + run - 1;
        struct place place = place_here(decoder->lexer, at, 2);
        if (memchr(decoder->lexer->source->text.p + decoder->lexer->line_at, '\n', at - decoder->lexer->line_at))
            place = place_here(decoder->lexer, base - 1, 1); /* in a later line of the same quote */
        diag_error(decoder->lexer->diags, place, S("write \\\\ for a backslash, or use single quotes"),
                   "unknown escape in double quotes");
    }
    return i + run + 1;
}

/* The text between two quotes; base: its index in the source. */
static str decode_quoted(struct lexer *lexer, str text, size_t base, bool is_double)
{
    struct decoder decoder = { .lexer = lexer, .to = arena_alloc(lexer->arena, text.n + 1) };
    if (!decoder.to)
        return STR_NONE;
    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];
        if (is_double && c == '\\') {
            i = decode_backslashes(&decoder, text, i, base);
            continue;
        }
        if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
            i++;
            continue;
        }
        if (is_control(c) && !lexer->told_control) {
            lexer->told_control = true;
            diag_error(lexer->diags, place_here(lexer, base - 1, 1), STR_NONE,
                       "control character 0x%02x inside these quotes", (unsigned)(unsigned char)c);
        }
        decoder.to[decoder.n++] = c;
        i++;
    }
    decoder.to[decoder.n] = '\0';
    return (str){ decoder.to, decoder.n };
}

/* Lines that a quoted word spanned; called when its place is settled. */
static void count_lines(struct lexer *lexer, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (lexer->source->text.p[i] != '\n')
            continue;
        lexer->line++;
        lexer->line_at = (uint32_t)i + 1;
    }
}

/* The lexer stands on the opening quote; afterwards behind the closing one. */
static str read_quoted(struct lexer *lexer)
{
    str text = lexer->source->text;
    size_t open = lexer->at;
    size_t close = find_closing(text, open);
    bool spans = close < text.n && memchr(text.p + open, '\n', close - open);
    bool glued = close + 1 < text.n && !ends_word(text.p[close + 1]);
    if (close >= text.n || (spans && glued)) {
        size_t end = recover_unclosed(lexer, open);
        lexer->at = end;
        return arena_str(lexer->arena, (str){ text.p + open + 1, end - open - 1 });
    }
    lexer->at = close + 1;
    str inside = { text.p + open + 1, close - open - 1 };
    if (glued)
        diag_error(lexer->diags, place_here(lexer, close + 1, 1), S("a space or ';' belongs here"),
                   "text right behind a closing quote");
    return decode_quoted(lexer, inside, open + 1, text.p[open] == '"');
}

/* `${name}` keeps its braces out of the grammar. */
static size_t braced_name(str text, size_t at)
{
    size_t i = at + 2;
    if (text.n - at < 3 || text.p[at] != '$' || text.p[at + 1] != '{')
        return 0;
    while (i < text.n && is_name_char(text.p[i]))
        i++;
    return i < text.n && text.p[i] == '}' ? i + 1 - at : 0;
}

static bool is_key(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n > 0;
}

/* KEY= in front of a quote. */
static bool is_key_before_quote(str s)
{
    return s.n > 1 && s.p[s.n - 1] == '=' && is_key(str_upto(s, s.n - 1));
}

static str concat(struct arena *arena, str a, str b)
{
    return arena_concat(arena, (str[]){ a, b }, 2);
}

static void read_bare(struct lexer *lexer, struct word *word)
{
    str text = lexer->source->text;
    size_t from = lexer->at;
    bool told = false;
    while (has_more(lexer) && !ends_word(peek(lexer))) {
        char c = peek(lexer);
        size_t braced = c == '$' ? braced_name(text, lexer->at) : 0;
        str before = { text.p + from, lexer->at - from };
        if ((c == '"' || c == '\'') && is_key_before_quote(before)) {
            word->quote = c == '"' ? WORD_DOUBLE : WORD_SINGLE;
            word->text = concat(lexer->arena, before, read_quoted(lexer));
            break;
        }
        if ((c == '"' || c == '\'') && !told) {
            diag_error(lexer->diags, place_here(lexer, lexer->at, 1), S("quote the whole word"),
                       "quote in the middle of a word");
            told = true;
        }
        lexer->at += braced ? braced : 1;
    }
    if (word->quote == WORD_BARE)
        word->text = arena_str(lexer->arena, (str){ text.p + from, lexer->at - from });
    size_t equals = str_find(word->text, '=');
    if (equals < word->text.n && is_key(str_upto(word->text, equals))) {
        word->key = str_upto(word->text, equals);
        word->value = str_from(word->text, equals + 1);
    }
}

static void read_word(struct lexer *lexer, struct word *word)
{
    size_t from = lexer->at;
    char c = peek(lexer);
    if (c == '"' || c == '\'') {
        word->quote = c == '"' ? WORD_DOUBLE : WORD_SINGLE;
        word->text = read_quoted(lexer);
    } else {
        read_bare(lexer, word);
    }
    if (!word->text.p)
        lexer->out_of_memory = true;
    word->length = (uint32_t)(lexer->at - from);
    count_lines(lexer, from, lexer->at);
}

struct token lexer_next(struct lexer *lexer)
{
    skip_space(lexer);
    struct token token = { .is_first = lexer->fresh };
    token.word = (struct word){ .line = lexer->line, .line_at = lexer->line_at, .length = 1 };
    token.word.column = (uint32_t)(lexer->at - lexer->line_at) + 1;
    if (!has_more(lexer) || lexer->out_of_memory) {
        token.kind = TOKEN_END;
        return token;
    }
    lexer->fresh = false;
    switch (peek(lexer)) {
    case ';': token.kind = TOKEN_SEMICOLON; break;
    case '{': token.kind = TOKEN_OPEN; break;
    case '}': token.kind = TOKEN_CLOSE; break;
    default:
        token.kind = TOKEN_WORD;
        read_word(lexer, &token.word);
        return token;
    }
    lexer->at++;
    return token;
}
