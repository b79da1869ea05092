/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.c: main() of a fuzz target in an ordinary build.
 *
 * Shape:   runs the target once on each file named, else on each file of tests/fuzz/corpus/THING for target
 *          fuzz_THING, under the source tree $WEIR_TOP; prints TAP.
 * Errors:  a finding is a crash, which the caller sees as the exit status. */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    uint8_t *exact = NULL;
    bool done = false;

    if (file == NULL || data == NULL)
        goto out;
    size_t size = fread(data, 1, INPUT_MAX, file);
    exact = malloc(size > 0 ? size : 1);    /* no slack behind the input: an over-read must be seen */
    if (exact == NULL || ferror(file))
        goto out;
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    done = true;
out:
    free(exact);
    free(data);
    if (file != NULL)
        fclose(file);
    return done;
}

static unsigned report_case(unsigned count, const char *name, bool done)
{
    printf("%sok %u - %s\n", done ? "" : "not ", count, name);
    fflush(stdout);
    return done ? 0 : 1;
}

static int replay_corpus(const char *thing)
{
    const char *top = getenv("WEIR_TOP");
    unsigned count = 0, failed = 0;
    char dir[1024], path[2048];

    snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", thing);
    DIR *corpus = opendir(dir);
    if (corpus == NULL) {
        fprintf(stderr, "%s: no corpus\n", dir);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(corpus)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        failed += report_case(++count, entry->d_name, replay_file(path));
    }
    closedir(corpus);
    printf("1..%u\n", count);
    return failed > 0 || count == 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    unsigned failed = 0;

    if (argc == 1) {
        name = name != NULL ? name + 1 : argv[0];
        return replay_corpus(strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
    }
    for (int i = 1; i < argc; i++)
        failed += report_case((unsigned)i, argv[i], replay_file(argv[i]));
    printf("1..%d\n", argc - 1);
    return failed > 0;
}
