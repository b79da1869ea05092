/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening below a folder: what openat2 does, and what does its work where there is none. */
#define _GNU_SOURCE 1 /* O_PATH */
#include "app/house/open_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/weir-beneath-XXXXXX";

static void put_file(int at, const char *name)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT, 0644);

    assert_true(fd >= 0);
    close(fd);
}

static int lay_out(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    int at = open(folder, O_PATH | O_DIRECTORY);
    assert_int_equal(mkdirat(at, "root", 0755) | mkdirat(at, "root/sub", 0755) | mkdirat(at, "root/sub/deep", 0755), 0);
    put_file(at, "secret");
    put_file(at, "root/a");
    put_file(at, "root/sub/b");
    put_file(at, "root/sub/deep/c");
    assert_int_equal(mkfifoat(at, "root/fifo", 0644), 0);
    assert_int_equal(symlinkat("sub/b", at, "root/inside") | symlinkat("../secret", at, "root/outside") |
                         symlinkat("/etc/passwd", at, "root/absolute") | symlinkat("sub", at, "root/folder") |
                         symlinkat("..", at, "root/up"),
                     0);
    close(at);
    return 0;
}

static int clear(void **state)
{
    static const char *const names[] = { "root/up", "root/folder", "root/absolute", "root/outside", "root/inside",
                                         "root/fifo", "root/sub/deep/c", "root/sub/b", "root/a", "secret" };
    static const char *const folders[] = { "root/sub/deep", "root/sub", "root" };
    int at = open(folder, O_PATH | O_DIRECTORY);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlinkat(at, names[i], 0);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        unlinkat(at, folders[i], AT_REMOVEDIR);
    close(at);
    return rmdir(folder);
}

enum { OPENS = 0, BY_KERNEL = -1 }; /* BY_KERNEL: opens where the kernel follows links, ELOOP by walking */

static const struct {
    const char *path;
    int error;
} cases[] = {
    { "", OPENS },
    { "a", OPENS },
    { "sub", OPENS },
    { "sub/b", OPENS },
    { "sub/deep/c", OPENS },
    { "fifo", OPENS }, /* without waiting for a writer */
    { "inside", BY_KERNEL },
    { "folder/b", BY_KERNEL },
    { "none", ENOENT },
    { "sub/none/c", ENOENT },
    { "a/b", ENOTDIR },
    { "outside", EXDEV },
    { "absolute", EXDEV },
    { "up/secret", EXDEV },
};

static bool is_error(int error, int expected)
{
    /* a link that is not followed is no folder (ENOTDIR) on the way, and ELOOP at its end */
    return error == expected || (expected == EXDEV && (error == ELOOP || error == ENOTDIR));
}

static void only_what_lies_below_is_opened(void **state)
{
    char root[64];

    (void)state;
    snprintf(root, sizeof(root), "%s/root", folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = open_beneath(root, cases[i].path);
        int error = fd < 0 ? errno : 0;
        if (cases[i].error <= 0 ? fd < 0 && !(cases[i].error == BY_KERNEL && error == ELOOP)
                                : !is_error(error, cases[i].error))
            fail_msg("%s: %s", cases[i].path, strerror(error));
        if (fd >= 0)
            close(fd);
    }
    int file = open_beneath(strcat(root, "/a"), "");
    assert_true(file >= 0);
    close(file);
    assert_int_equal(open_beneath(root, "x"), -1);
}

static void walking_follows_no_link(void **state)
{
    int at = open(folder, O_PATH | O_DIRECTORY), root = openat(at, "root", O_PATH | O_DIRECTORY);
    char name[300];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = open_by_walking(root, cases[i].path);
        int error = fd < 0 ? errno : 0;
        int expected = cases[i].error == BY_KERNEL ? EXDEV : cases[i].error;
        if (expected == OPENS ? fd < 0 : !is_error(error, expected))
            fail_msg("%s: %s", cases[i].path, strerror(error));
        if (fd >= 0)
            close(fd);
    }
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(open_by_walking(root, name), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    close(root);
    close(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_lies_below_is_opened),
        cmocka_unit_test(walking_follows_no_link),
    };

    return cmocka_run_group_tests(tests, lay_out, clear);
}
