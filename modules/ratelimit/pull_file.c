/* SPDX-License-Identifier: BSD-2-Clause */
/* pull_file.c: "heard 1795000000000", then a line a decision: "192.0.2.0/24 1795000000000 17 crowdsec a/scenario":
 * network, end in ms since 1970, id, origin and scenario. */
#include "network.h"
#include "pull.h"
#include "state_file.h"

#include <stdio.h>
#include <string.h>

enum { LINES_MOST = 1000000 };

static void put_decisions(FILE *file, void *content_)
{
    const struct pull_file *content = content_;
    char network[NETWORK_ROOM];

    fprintf(file, "heard %llu\n", (unsigned long long)content->heard);
    for (size_t i = 0; content->pulled && i < content->pulled->decisions.count; i++) {
        const struct decision *one = &content->pulled->decisions.at[i];
        network_print(one->address, one->bits, network);
        fprintf(file, "%s %llu %llu %s\n", network, (unsigned long long)one->until, (unsigned long long)one->id,
                label_text(content->pulled->labels, one->label));
    }
}

void pull_file_write(const char *path, const struct pull_file *content)
{
    struct pull_file copy = *content;

    state_file_write(path, put_decisions, &copy);
}

/* False: this line is none. */
static bool read_line(const char *line, uint64_t now, struct decisions *to)
{
    char network[NETWORK_ROOM], label[LABEL_ROOM] = "";
    unsigned long long until, id;
    struct decision one = { 0 };

    if (sscanf(line, "%63s %llu %llu %127[^\n]", network, &until, &id, label) < 3 ||
        !network_read((weir_str){ network, strlen(network) }, one.address, &one.bits))
        return false;
    if (until <= now)
        return true;
    size_t n = strcspn(label, " "), gap = label[n] == ' ';
    one.until = until;
    one.id = id;
    if (strcmp(label, "-") != 0)
        one.label = label_number(to->labels, (weir_str){ label, n },
                                 (weir_str){ label + n + gap, strlen(label + n + gap) });
    return decision_append(&to->fresh, &one);
}

struct pulled *pull_file_read(const char *path, uint64_t now, uint64_t *heard)
{
    struct decisions read = { .labels = labels_create() };
    unsigned long long at = 0;
    char line[256];
    uint32_t strange = 0, left_out = 0;
    FILE *file = read.labels ? fopen(path, "re") : NULL;

    if (!file) {
        labels_free(read.labels);
        return NULL;
    }
    if (fgets(line, sizeof(line), file) && sscanf(line, "heard %llu", &at) == 1)
        for (uint32_t i = 0; i < LINES_MOST && fgets(line, sizeof(line), file); i++)
            strange += !read_line(line, now, &read);
    fclose(file);
    if (strange)
        weir_log(WEIR_LOG_WARN, "%s: %u lines are no decisions", path, strange);
    struct pulled *pulled = pulled_make(NULL, &read, now, 0, LINES_MOST, &left_out);
    decisions_free(&read);
    *heard = at;
    return pulled;
}
