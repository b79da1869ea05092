/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy.h"

#include "base/log.h"
#include "pipeline/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/conf_api.h>

static char folder[64], path[96];

static const char *at(const char *name)
{
    static char rooms[4][160];
    static unsigned next;
    char *room = rooms[next++ % 4];
    snprintf(room, sizeof(rooms[0]), "%s/%s", folder, name);
    return room;
}

static int up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/weir-sink-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/access.log", folder);
    return toy_up(state);
}

static int down(void **state)
{
    char command[128];
    toy_down(state);
    sinks_finish();
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}
#define logging(test) cmocka_unit_test_setup_teardown(test, up, down)

static char *content(const char *file)
{
    static char room[1 << 20];
    FILE *in = fopen(file, "r");
    size_t n = in ? fread(room, 1, sizeof(room) - 1, in) : 0;
    if (in)
        fclose(in);
    room[n] = '\0';
    return in ? room : NULL;
}

static weir_sink *open_sink(const char *target, uint64_t buffer, uint64_t rotate, uint64_t keep)
{
    str why = STR_NONE;
    weir_sink *sink = sink_get(str_of(target), &(struct weir_sink_options){ rotate, keep, buffer }, false, &why);
    assert_non_null(sink);
    return sink;
}

/* -- targets ------------------------------------------------------------------------------------------------------- */

static void one_sink_a_target(void **state)
{
    (void)state;
    mode_t mask = umask(022);
    weir_sink *sink = open_sink(path, 4096, 0, 0);
    umask(mask);
    assert_ptr_equal(open_sink(path, 0, 9, 9), sink); /* with the options of the first */
    assert_ptr_not_equal(open_sink("stdout", 0, 0, 0), sink);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void targets_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *target; /* begins in the folder when it has a '+' in front */
        bool is_rehearsal;
        const char *why;    /* NULL: it can */
    } cases[] = {
        { "", false, "neither an absolute path nor stdout, stderr or syslog" },
        { "access.log", true, "neither an absolute path nor stdout, stderr or syslog" },
        { "+none/access.log", false, "No such file or directory" },
        { "+none/access.log", true, "its folder: No such file or directory" },
        { "+", false, "Is a directory" },
        { "+", true, "Is a directory" },
        { "+access.log", true, NULL },
        { "stdout", true, NULL },
        { "syslog", true, NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        str why = STR_NONE, target = str_of(cases[i].target[0] == '+' ? at(cases[i].target + 1) : cases[i].target);
        weir_sink *sink = sink_get(target, NULL, cases[i].is_rehearsal, &why);
        if (cases[i].why)
            assert_str(why, cases[i].why);
        assert_int_equal(sink != NULL, cases[i].why == NULL);
        if (sink)
            assert_int_equal(sink_write(sink, S("a rehearsal leaves no trace\n")), 0);
    }
    assert_int_equal(access(path, F_OK), -1);
}

/* -- buffers ------------------------------------------------------------------------------------------------------- */

static void lines_wait_for_company(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 16, 0, 0);
    sink_write(sink, S("one\n"));
    sink_write(sink, S("two\n"));
    assert_string_equal(content(path), "");
    sink_write(sink, S("three3333\n")); /* does not fit behind them */
    assert_string_equal(content(path), "one\ntwo\n");
    sink_write(sink, S("longer than the whole buffer\n")); /* in order all the same */
    assert_string_equal(content(path), "one\ntwo\nthree3333\nlonger than the whole buffer\n");
    sink_write(sink, S("last\n"));
    sinks_flush();
    assert_true(str_has_suffix(str_of(content(path)), S("last\n")));
    assert_int_equal(sink_lost(sink), 0);
}

static void a_second_is_the_longest_wait(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 4096, 0, 0);
    sink_write(sink, S("one\n"));
    uint64_t before = clock_us_now();
    TURN_UNTIL(strcmp(content(path), "one\n") == 0);
    assert_true(clock_us_now() - before >= (SINK_FLUSH_MS - 1) * 1000);
}

static void unbuffered(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 0, 0);
    sink_write(sink, S("one\n"));
    assert_string_equal(content(path), "one\n");
}

static void a_stop_loses_nothing(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 4096, 0, 0);
    sink_write(sink, S("one\n"));
    pipeline_worker_down(pipeline_worker_self());
    worker_turn(*state, false);
    assert_string_equal(content(path), "one\n");
    sink_write(sink, S("two\n")); /* of a thread that is no worker: at once */
    assert_string_equal(content(path), "one\ntwo\n");
    snapshots_finish();
    pipeline_worker_up(*state, 0);
}

static void without_memory_lines_go_at_once(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 4096, 0, 0);
    mem_fail_after(0);
    assert_int_equal(sink_write(sink, S("one\n")), 0);
    str why = STR_NONE;
    assert_null(sink_get(str_of(at("other.log")), NULL, false, &why));
    mem_fail_after(-1);
    assert_str(why, "no memory");
    assert_string_equal(content(path), "one\n");
}

/* -- rotation, reopening ------------------------------------------------------------------------------------------- */

static void rotated_by_size(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 10, 2);
    static const char *const lines[] = { "aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n" };
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_int_equal(sink_write(sink, str_of(lines[i])), 0);
    assert_string_equal(content(path), "gggg\n");
    assert_string_equal(content(at("access.log.1")), "eeee\nffff\n");
    assert_string_equal(content(at("access.log.2")), "cccc\ndddd\n");
    assert_null(content(at("access.log.3"))); /* a and b are gone: two are kept */
    sink_write(sink, S("a line that is longer than a whole file may be\n"));
    assert_string_equal(content(at("access.log.1")), "gggg\n");
    sink_write(sink, S("h\n"));
    assert_string_equal(content(path), "h\n");
}

static void rotated_and_none_kept(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 10, 0);
    for (int i = 0; i < 5; i++)
        sink_write(sink, S("aaaa\n"));
    assert_string_equal(content(path), "aaaa\n");
    assert_null(content(at("access.log.1")));
}

static void what_was_there_counts(void **state)
{
    (void)state;
    FILE *out = fopen(path, "w");
    fputs("from before\n", out);
    fclose(out);
    weir_sink *sink = open_sink(path, 0, 14, 1);
    sink_write(sink, S("new\n"));
    assert_string_equal(content(path), "new\n");
    assert_string_equal(content(at("access.log.1")), "from before\n");
}

static void rotation_that_fails_loses_nothing(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 10, 1);
    assert_int_equal(mkdir(at("access.log.1"), 0700), 0); /* a file cannot be renamed to it */
    log_set_level(LOG_ERROR_);
    for (int i = 0; i < 4; i++)
        assert_int_equal(sink_write(sink, S("aaaa\n")), 0);
    assert_string_equal(content(path), "aaaa\naaaa\naaaa\naaaa\n");
}

static void reopened(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 4096, 0, 0);
    unsigned before = sinks_reopened();
    sink_write(sink, S("old\n"));
    assert_int_equal(rename(path, at("moved.log")), 0);
    sinks_reopen();
    TURN_UNTIL(sinks_reopened() == before + 1);
    assert_string_equal(content(at("moved.log")), "old\n"); /* what was held back belongs to the old file */
    sink_write(sink, S("new\n"));
    sinks_flush();
    assert_string_equal(content(path), "new\n");
}

static int refuse_to_open(const char *name)
{
    (void)name;
    errno = EACCES;
    return -1;
}

static void reopening_that_fails_keeps_the_old_file(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 0, 0);
    int (*before)(const char *) = sink_open;
    unsigned count = sinks_reopened();
    sink_open = refuse_to_open;
    sinks_reopen();
    TURN_UNTIL(sinks_reopened() == count + 1);
    assert_int_equal(sink_write(sink, S("still\n")), 0);
    str why = STR_NONE;
    assert_null(sink_get(str_of(at("other.log")), NULL, false, &why));
    assert_str(why, "Permission denied");
    sink_open = before;
    assert_string_equal(content(path), "still\n");
}

/* -- losses -------------------------------------------------------------------------------------------------------- */

/* The file may not grow beyond 12 bytes: the second line goes half, the third not at all. */
static void losses_are_counted_and_lines_never_mix(void **state)
{
    (void)state;
    weir_sink *sink = open_sink(path, 0, 0, 0);
    struct rlimit limit, before;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 12;
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC), err = dup(STDERR_FILENO);
    dup2(quiet, STDERR_FILENO); /* the report must not meet the limit either */
    assert_int_equal(sink_write(sink, S("aaaaaaaa\n")), 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    int second = sink_write(sink, S("bbbbbbbb\n")), third = sink_write(sink, S("c\nd\n"));
    setrlimit(RLIMIT_FSIZE, &before);
    dup2(err, STDERR_FILENO);
    close(err);
    close(quiet);
    assert_int_equal(second, -1);
    assert_int_equal(third, -1);
    assert_int_equal(sink_lost(sink), 3);
    assert_int_equal(sink_write(sink, S("eeee\n")), 0);
    assert_string_equal(content(path), "aaaaaaaa\nbbb\neeee\n"); /* the broken line keeps a line of its own */
}

/* -- many workers -------------------------------------------------------------------------------------------------- */

enum { WORKERS = 3, LINES = 3000 };

struct writer {
    struct message message;
    struct worker *worker;
    weir_sink *sink;
    unsigned index;
    atomic_bool done;
};

static void write_lines(struct message *message)
{
    struct writer *writer = (struct writer *)(void *)message;
    for (unsigned i = 0; i < LINES; i++) {
        char line[128];
        int n = snprintf(line, sizeof(line), "%u %u %.*s\n", writer->index, i, (int)(i % 60),
                         "............................................................");
        sink_write(writer->sink, (str){ line, (size_t)n });
    }
    writer->done = true;
}

static void writer_up(struct worker *worker, void *arg)
{
    (void)arg;
    pipeline_worker_up(worker, worker_index(worker));
}
static void writer_down(struct worker *worker, void *arg)
{
    (void)worker, (void)arg;
    pipeline_worker_down(pipeline_worker_self());
}

/* Every line whole, once, and each worker's in its order; over files that were rotated and reopened meanwhile. */
static void check_lines(char *text, unsigned next[WORKERS])
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned worker, i;
        char dots[64] = "";
        assert_true(sscanf(line, "%u %u %63s", &worker, &i, dots) >= 2);
        assert_true(worker < WORKERS);
        assert_int_equal(i, next[worker]);
        assert_int_equal(strlen(dots), i % 60);
        next[worker]++;
    }
}

static void lines_of_all_workers(void **state)
{
    (void)state;
    struct writer writers[WORKERS] = { 0 };
    unsigned next[WORKERS] = { 0 }, before = sinks_reopened();
    weir_sink *sink = open_sink(path, 1000, 20000, 100);
    for (unsigned i = 0; i < WORKERS; i++) {
        writers[i] = (struct writer){ .message.run = write_lines, .worker = worker_create(i + 1), .sink = sink,
                                      .index = i };
        assert_int_equal(worker_start(writers[i].worker, writer_up, writer_down, NULL), 0);
        worker_post(writers[i].worker, &writers[i].message);
    }
    sinks_reopen();
    for (unsigned i = 0; i < WORKERS; i++)
        while (!writers[i].done)
            worker_turn(worker_self(), false);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_stop(writers[i].worker);
        worker_join(writers[i].worker);
        worker_destroy(writers[i].worker);
    }
    TURN_UNTIL(sinks_reopened() == before + 1);
    unsigned files = 0;
    char name[32];
    do
        snprintf(name, sizeof(name), "access.log.%u", ++files);
    while (access(at(name), F_OK) == 0);
    files--;
    assert_true(files > 5);
    for (unsigned i = files; i > 0; i--) { /* oldest first */
        snprintf(name, sizeof(name), "access.log.%u", i);
        check_lines(content(at(name)), next);
    }
    check_lines(content(path), next);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(next[i], LINES);
    assert_int_equal(sink_lost(sink), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        logging(one_sink_a_target),
        logging(targets_that_cannot_be),
        logging(lines_wait_for_company),
        logging(a_second_is_the_longest_wait),
        logging(unbuffered),
        logging(a_stop_loses_nothing),
        logging(without_memory_lines_go_at_once),
        logging(rotated_by_size),
        logging(rotated_and_none_kept),
        logging(what_was_there_counts),
        logging(rotation_that_fails_loses_nothing),
        logging(reopened),
        logging(reopening_that_fails_keeps_the_old_file),
        logging(losses_are_counted_and_lines_never_mix),
        logging(lines_of_all_workers),
    };
    return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
