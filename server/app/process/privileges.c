/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct identity {
    uid_t uid;
    gid_t gid;
};

static bool look_up(const struct settings *s, struct identity *out, char *why, size_t n)
{
    struct passwd *user = getpwnam(s->user.p);

    if (!user) {
        snprintf(why, n, "user %s: no such user", s->user.p);
        return false;
    }
    *out = (struct identity){ user->pw_uid, user->pw_gid };
    if (!s->group.n)
        return true;
    struct group *group = getgrnam(s->group.p);
    if (!group) {
        snprintf(why, n, "user %s %s: no such group", s->user.p, s->group.p);
        return false;
    }
    out->gid = group->gr_gid;
    return true;
}

bool privileges_are_dropped_for(const struct settings *settings)
{
    return settings->user.n && geteuid() == 0;
}

bool privileges_check(const struct settings *settings, char *why, size_t n)
{
    struct identity identity;

    return !privileges_are_dropped_for(settings) || look_up(settings, &identity, why, n);
}

/* -- capabilities(7). Sockets are bound and keys read by the supervisor: the server needs none of its own. One that has
 * to stay root still opens files as root does, and that is all. */

static const uint64_t file_capabilities = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH |
                                          1u << CAP_FOWNER | 1u << CAP_FSETID;

/* Before the identity goes: it takes CAP_SETPCAP. Without it (and so with nothing to lose) the set stays as it is. */
static void drop_bounding(uint64_t keep)
{
    for (unsigned long i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(keep >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

static bool drop_capabilities(uint64_t keep, char *why, size_t n)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &header, data) == 0) {
        for (unsigned i = 0; i < 2; i++) {
            uint32_t kept = data[i].permitted & (uint32_t)(keep >> (32 * i));
            data[i] = (struct __user_cap_data_struct){ .effective = data[i].effective & kept, .permitted = kept };
        }
        if (syscall(SYS_capset, &header, data) == 0)
            return true;
    }
    snprintf(why, n, "cannot give up capabilities: %s", strerror(errno));
    return false;
}

bool privileges_drop(const struct settings *settings, char *why, size_t n)
{
    uint64_t keep = geteuid() == 0 ? file_capabilities : 0;
    struct identity identity;

    if (privileges_are_dropped_for(settings)) {
        if (!look_up(settings, &identity, why, n))
            return false;
        keep = identity.uid == 0 ? file_capabilities : 0;
        drop_bounding(keep);
        if (initgroups(settings->user.p, identity.gid) != 0 ||
            setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
            setresuid(identity.uid, identity.uid, identity.uid) != 0) {
            snprintf(why, n, "cannot become user %s: %s", settings->user.p, strerror(errno));
            return false;
        }
        if (identity.uid != 0 && setresuid(0, 0, 0) == 0) {
            snprintf(why, n, "user %s could become root again", settings->user.p);
            return false;
        }
    }
    drop_bounding(keep);
    if (!drop_capabilities(keep, why, n))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(why, n, "cannot set no_new_privs: %s", strerror(errno));
        return false;
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return true;
}

void privileges_give(int fd, const struct settings *settings)
{
    struct identity identity;
    char why[128];

    if (!privileges_are_dropped_for(settings) || !look_up(settings, &identity, why, sizeof(why)))
        return;
    if (fchown(fd, identity.uid, identity.gid) != 0)
        return; /* it can still be written through this descriptor */
}

static bool make_one(const char *path, mode_t mode, char *why, size_t n)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return true;
    snprintf(why, n, "%s: %s", path, strerror(errno));
    return false;
}

bool privileges_make_parents(str path, char *why, size_t n)
{
    char part[4096];

    for (size_t i = 1; i < path.n && i < sizeof(part); i++) {
        if (path.p[i] != '/')
            continue;
        memcpy(part, path.p, i);
        part[i] = 0;
        if (!make_one(part, 0755, why, n))
            return false;
    }
    return true;
}

bool privileges_make_folder(const struct settings *settings, str path, char *why, size_t n)
{
    struct identity identity;
    struct stat st;

    if (!path.n || (stat(path.p, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    if (!privileges_make_parents(path, why, n) || !make_one(path.p, 0750, why, n))
        return false;
    if (!privileges_are_dropped_for(settings))
        return true;
    if (!look_up(settings, &identity, why, n) || chown(path.p, identity.uid, identity.gid) != 0)
        return false;
    return true;
}
