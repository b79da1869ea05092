/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* The log goes to one end of a packet socket: each write is a packet of its own, so writes can be counted. */
static int theirs = -1;

static void open_sink(void)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    if (theirs >= 0)
        close(theirs);
    theirs = ends[1];
    log_to_fd(ends[0]);
}

/* The next write as text; "" when there is none, "EOF" when the other end was closed. */
static const char *next_write(void)
{
    static char text[65536];
    errno = 0;
    ssize_t n = recv(theirs, text, sizeof(text) - 1, MSG_DONTWAIT);
    if (n == 0)
        return "EOF";
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_INFO_);
    open_sink();
    return 0;
}

/* Checks "2026-11-21T05:31:51.123Z " and gives what stands behind it. */
static const char *after_time(const char *line)
{
    static const char form[] = "0000-00-00T00:00:00.000Z ";
    size_t n = sizeof(form) - 1;
    assert_true(strlen(line) > n);
    for (size_t i = 0; i < n; i++) {
        if (form[i] == '0')
            assert_true(line[i] >= '0' && line[i] <= '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + n;
}

static void a_line_is_one_write(void **state)
{
    (void)state;
    log_warn("upstream %s: refused, out for %ds", "docs", 10);
    log_error("second");
    assert_string_equal(after_time(next_write()), "warn upstream docs: refused, out for 10s\n");
    assert_string_equal(after_time(next_write()), "error second\n");
    assert_string_equal(next_write(), "");
}

static void levels(void **state)
{
    (void)state;
    static const char *const names[] = { "debug", "info", "notice", "warn", "error" };
    for (int least = LOG_DEBUG_; least <= LOG_ERROR_; least++) {
        log_set_level((enum log_level)least);
        assert_int_equal(log_get_level(), least);
        log_debug("x");
        log_info("x");
        log_notice("x");
        log_warn("x");
        log_error("x");
        for (int level = least; level <= LOG_ERROR_; level++) {
            char expected[32];
            snprintf(expected, sizeof(expected), "%s x\n", names[level]);
            assert_string_equal(after_time(next_write()), expected);
        }
        assert_string_equal(next_write(), "");
    }
}

static int evaluations;

static int evaluate(void)
{
    return ++evaluations;
}

static void silent_debug_evaluates_nothing(void **state)
{
    (void)state;
    evaluations = 0;
    log_debug("%d", evaluate());
    assert_int_equal(evaluations, 0);
    log_set_level(LOG_DEBUG_);
    log_debug("%d", evaluate());
    assert_int_equal(evaluations, 1);
    assert_string_equal(after_time(next_write()), "debug 1\n");
}

static void level_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int level; /* -1: none */
    } rows[] = {
        {"debug",   LOG_DEBUG_ },
        { "info",   LOG_INFO_  },
        { "notice", LOG_NOTICE_},
        { "warn",   LOG_WARN_  },
        { "error",  LOG_ERROR_ },
        { "",       -1         },
        { "Warn",   -1         },
        { "warnx",  -1         },
        { "err",    -1         },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum log_level level = (enum log_level)99;
        assert_int_equal(log_level_parse(str_of(rows[i].name), &level), rows[i].level >= 0);
        assert_int_equal((int)level, rows[i].level >= 0 ? rows[i].level : 99);
    }
}

/* What a peer sent must not end a line, begin another, or speak to the terminal. */
static void lines_cannot_be_forged(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a\n2026-11-21T05:31:51.123Z error b", "a\\x0a2026-11-21T05:31:51.123Z error b"},
        { "a\r\nb",                             "a\\x0d\\x0ab"                          },
        { "\x1b[2J\t\x7f",                      "\\x1b[2J\\x09\\x7f"                    },
        { "\xc2\x9b"
          "2J",                        "\\xc2\\x9b2J"                          },
        { "\xff\xc3\xa4",                       "\\xff\xc3\xa4"                         },
        { "%s%n",                               "%s%n"                                  },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        log_info("host \"%s\"", rows[i].in);
        char expected[128];
        snprintf(expected, sizeof(expected), "info host \"%s\"\n", rows[i].out);
        assert_string_equal(after_time(next_write()), expected);
        assert_string_equal(next_write(), "");
    }
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    static char text[8192];
    memset(text, 'x', 2047);
    log_info("%s", text); /* just fits */
    const char *line = after_time(next_write());
    assert_int_equal(strlen(line), 5 + 2047 + 1);
    memset(text, 'x', sizeof(text) - 1);
    log_info("%s", text);
    line = after_time(next_write());
    assert_int_equal(strlen(line), 5 + 2047 + 4);
    assert_string_equal(line + 5 + 2046, "x...\n");
    memset(text, '\x01', sizeof(text) - 1); /* at worst each byte takes four */
    log_info("%s", text);
    line = after_time(next_write());
    assert_int_equal(strlen(line), 5 + 4 * 2047 + 4);
    assert_string_equal(line + strlen(line) - 8, "\\x01...\n");
}

static void errno_stays(void **state)
{
    (void)state;
    errno = ENOENT;
    log_info("open: %m");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(after_time(next_write()), "info open: No such file or directory\n");
    close(open("/dev/null", O_RDONLY));
    log_to_fd(open("/dev/full", O_WRONLY));
    errno = ENOENT;
    log_info("lost");
    assert_int_equal(errno, ENOENT);
}

static void lost_lines_are_counted(void **state)
{
    (void)state;
    uint64_t before = log_dropped();
    log_info("kept");
    assert_int_equal(log_dropped(), before);
    log_to_fd(open("/dev/full", O_WRONLY));
    log_info("lost");
    log_info("lost");
    log_debug("not even meant to be written");
    assert_int_equal(log_dropped(), before + 2);
}

static void former_descriptor_is_closed(void **state)
{
    (void)state;
    log_info("one");
    assert_string_equal(after_time(next_write()), "info one\n");
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_to_fd(file);
    assert_string_equal(next_write(), "EOF");
    assert_int_equal(fcntl(file, F_GETFD), -1); /* it lives on under the log's own number */
    open_sink();
    log_info("two");
    assert_string_equal(after_time(next_write()), "info two\n");
    log_to_syslog();
    assert_string_equal(next_write(), "EOF");
    log_info("unit test of weir: a line for syslog, if there is one");
    open_sink();
    log_info("three");
    assert_string_equal(after_time(next_write()), "info three\n");
}

static void stderr_is_a_place_too(void **state)
{
    (void)state;
    int ends[2], kept = dup(STDERR_FILENO);
    log_to_stderr();
    assert_string_equal(next_write(), "EOF");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    close(theirs);
    theirs = ends[1];
    dup2(ends[0], STDERR_FILENO); /* a stderr that is redirected later is followed */
    close(ends[0]);
    log_notice("here");
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_string_equal(after_time(next_write()), "notice here\n");
    assert_string_equal(next_write(), "EOF");
}

enum { THREADS = 4, LINES = 300 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("thread %c line %d end", *(const char *)arg, i);
    return NULL;
}

/* Threads write while the file is exchanged under them: every line arrives whole in one of the files. */
static void threads_do_not_mix(void **state)
{
    (void)state;
    static char names[] = "abcd";
    pthread_t threads[THREADS];
    FILE *files[3] = { tmpfile(), tmpfile(), tmpfile() };
    log_to_fd(fcntl(fileno(files[0]), F_DUPFD_CLOEXEC, 3));
    uint64_t dropped = log_dropped();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names + i), 0);
    for (int i = 1; i < 3; i++)
        log_to_fd(fcntl(fileno(files[i]), F_DUPFD_CLOEXEC, 3));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    int next[THREADS] = { 0 }, total = 0;
    for (int i = 0; i < 3; i++) {
        char line[256], name;
        rewind(files[i]);
        while (fgets(line, sizeof(line), files[i])) {
            int number, length = 0;
            const char *text = after_time(line);
            assert_int_equal(sscanf(text, "info thread %c line %d end\n%n", &name, &number, &length), 2);
            assert_int_equal(length, strlen(text));
            assert_int_equal(number, next[name - 'a']++); /* in order within a thread, over all files */
            total++;
        }
        fclose(files[i]);
    }
    assert_int_equal(total, THREADS * LINES);
    assert_int_equal(log_dropped(), dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_is_one_write, set_up),
        cmocka_unit_test_setup(levels, set_up),
        cmocka_unit_test_setup(silent_debug_evaluates_nothing, set_up),
        cmocka_unit_test(level_names),
        cmocka_unit_test_setup(lines_cannot_be_forged, set_up),
        cmocka_unit_test_setup(long_messages_are_cut, set_up),
        cmocka_unit_test_setup(errno_stays, set_up),
        cmocka_unit_test_setup(lost_lines_are_counted, set_up),
        cmocka_unit_test_setup(former_descriptor_is_closed, set_up),
        cmocka_unit_test_setup(stderr_is_a_place_too, set_up),
        cmocka_unit_test_setup(threads_do_not_mix, set_up),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
