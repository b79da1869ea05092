/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

bool privileges_drop(const struct settings *settings, char *why, size_t n)
{
    struct identity identity;

    if (privileges_are_dropped_for(settings)) {
        if (!look_up(settings, &identity, why, n))
            return false;
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
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
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
