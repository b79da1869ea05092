/* SPDX-License-Identifier: BSD-2-Clause */
/* ban_command.c: weir ban list | add CIDR [TIME] | remove CIDR. What a list server says is listed too, but changed
 * there alone. */
#include "bans.h"
#include "network.h"
#include "pull.h"

#include <string.h>

static bool is_word(weir_str word, const char *text)
{
    return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}

/* 90s, 10m, 4h, 7d as in the configuration; milliseconds. */
static bool read_time(weir_str text, uint64_t *ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
    uint64_t number = 0;

    if (text.n < 2 || text.n > 10)
        return false;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.p[i] - '0');
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (text.p[text.n - 1] == units[i].unit) {
            *ms = number * units[i].ms;
            return number > 0;
        }
    return false;
}

static void say_ban(const struct ban *ban, void *answer)
{
    char network[NETWORK_ROOM];
    uint64_t now = weir_now(WEIR_NOW_WALL_MS);

    network_print(ban->address, ban->bits, network);
    if (ban->until)
        weir_say(answer, "%-44s %10llu s  %s\n", network, (unsigned long long)((ban->until - now + 999) / 1000),
                 ban->by == BY_REFUSALS ? "refusals" : "command");
    else
        weir_say(answer, "%-44s    for ever  command\n", network);
}

static void say_pulled(weir_answer *answer)
{
    uint64_t now = weir_now(WEIR_NOW_WALL_MS);
    struct pulled *pulled = pull_newest();
    char network[NETWORK_ROOM];

    for (size_t i = 0; pulled && i < pulled->decisions.count; i++) {
        const struct decision *one = &pulled->decisions.at[i];
        if (one->until <= now)
            continue;
        network_print(one->address, one->bits, network);
        weir_say(answer, "%-44s %10llu s  ban_list: %s\n", network,
                 (unsigned long long)((one->until - now + 999) / 1000), label_text(pulled->labels, one->label));
    }
    pulled_unref(pulled);
}

/* False: the list server bans nothing of exactly this name. */
static bool explain_pulled(weir_answer *answer, const uint8_t address[16], uint32_t bits, const char *but)
{
    struct pulled *pulled = pull_newest();
    const struct decision *one = pulled_find_network(pulled, address, bits, weir_now(WEIR_NOW_WALL_MS));
    char network[NETWORK_ROOM];

    if (one) {
        network_print(address, bits, network);
        weir_say(answer, "%s%s is banned by ban_list (%s): remove it at that server, or name it in except=\n", but,
                 network, label_text(pulled->labels, one->label));
    }
    pulled_unref(pulled);
    return one;
}

static int refuse(weir_answer *answer, const char *what, weir_str word)
{
    weir_say(answer, "%s: \"%.*s\"\n", what, (int)(word.n < 100 ? word.n : 100), word.n ? word.p : "");
    return -1;
}

static int add(weir_answer *answer, const weir_str *words, uint32_t count)
{
    struct ban ban = { .by = BY_COMMAND };
    uint64_t ms;

    if (!network_read(words[0], ban.address, &ban.bits))
        return refuse(answer, "no address or network", words[0]);
    if (count > 1) {
        if (!read_time(words[1], &ms))
            return refuse(answer, "no time, as in 90s, 10m, 4h or 7d", words[1]);
        ban.until = weir_now(WEIR_NOW_WALL_MS) + ms;
    }
    if (ban_list_put(&ban) == 0)
        return 0;
    weir_say(answer, "the list is full\n");
    return -1;
}

static int take_out(weir_answer *answer, weir_str word)
{
    uint8_t address[16];
    uint32_t bits;

    if (!network_read(word, address, &bits))
        return refuse(answer, "no address or network", word);
    if (ban_list_remove(address, bits) == 0) {
        explain_pulled(answer, address, bits, "removed here, but ");
        return 0;
    }
    return explain_pulled(answer, address, bits, "") ? -1 : refuse(answer, "not banned", word);
}

int ban_command(weir_mod *mod, weir_answer *answer, const weir_str *words, uint32_t count)
{
    (void)mod;
    if (count == 1 && is_word(words[0], "list")) {
        ban_list_each(weir_now(WEIR_NOW_WALL_MS), say_ban, answer);
        say_pulled(answer);
        return 0;
    }
    if ((count == 2 || count == 3) && is_word(words[0], "add"))
        return add(answer, words + 1, count - 1);
    if (count == 2 && is_word(words[0], "remove"))
        return take_out(answer, words[1]);
    weir_say(answer, "usage: weir ban list | add CIDR [TIME] | remove CIDR\n");
    return -1;
}
