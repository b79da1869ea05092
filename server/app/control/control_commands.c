/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/control/control_commands.h"

#include "app/control/control_answer.h"
#include "http/uri.h"
#include "pipeline/commands.h"

static const str root = WEIR_S("/v1/commands/");

struct said {
    bool ok;
    str text;
};

bool control_commands_is(str path)
{
    return str_has_prefix(path, root) && path.n > root.n;
}

static void write_json(struct out *out, const void *said_)
{
    const struct said *said = said_;

    out_str(out, said->ok ? S("{\"ok\":true,\"text\":") : S("{\"ok\":false,\"error\":"));
    out_json_str(out, said->text);
    out_str(out, S("}\n"));
}

static void write_text(struct out *out, const void *said)
{
    out_str(out, ((const struct said *)said)->text);
}

static int refuse(struct out *answer, int status, const char *why)
{
    return answer_make(answer, answer_error, why) ? status : 0;
}

/* How many words, or -1. */
static int read_words(str query, struct arena *arena, str words[COMMAND_WORDS_MOST])
{
    int count = 0;
    str pair;

    while (query.n && str_split(&query, '&', &pair)) {
        if (count == COMMAND_WORDS_MOST || !str_has_prefix(pair, S("word=")))
            return -1;
        words[count] = uri_decode(str_from(pair, sizeof("word=") - 1), arena);
        if (!words[count].p)
            return -1;
        count++;
    }
    return count;
}

int control_commands_answer(str path, str query, bool as_text, struct arena *arena, struct out *answer)
{
    str words[COMMAND_WORDS_MOST];
    struct weir_answer heard = { 0 };
    int count = read_words(query, arena, words);

    if (count < 0)
        return refuse(answer, 400, "at most 16 words, as in ?word=list");
    int rc = command_run(str_from(path, root.n), words, (uint32_t)count, &heard);
    if (rc == COMMAND_UNKNOWN)
        return refuse(answer, 404, "no module has this command");
    struct said said = { rc == 0, { heard.p, heard.n } };
    bool fine = !heard.is_cut && answer_make(answer, as_text ? write_text : write_json, &said);
    command_answer_free(&heard);
    return !fine ? 0 : rc == 0 ? 200 : 422;
}
