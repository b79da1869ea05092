/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/house/metrics_page.h"

#include "app/house/loading.h"
#include "base/mem.h"
#include "pipeline/metrics.h"
#include "upstream/upstream_metrics.h"

enum { ROOM_FIRST = 64 * 1024, ROOM_MOST = 64 * 1024 * 1024 };

static bool put_sites(struct out *out, const struct house *house)
{
    uint32_t count = house->tallies.count;
    struct site_figures *sites = mem_array(count, sizeof(*sites));

    for (uint32_t i = 0; sites && i < count; i++) {
        const struct site_tally *from = vec_at(&house->tallies, struct site_tally, i);
        sites[i].name = from->name;
        tally_sum(from->tally, sites[i].sums);
    }
    if (sites)
        metrics_put_sites(out, sites, count);
    mem_free(sites);
    return sites != NULL;
}

static bool put_all(struct out *out, const struct snapshot *snapshot)
{
    const struct house *house = snapshot->house;

    metrics_put_server(out, snapshot);
    if (!put_sites(out, house) || !upstream_metrics_put(out, house->upstreams.all))
        return false;
    metrics_put_modules(out, house->mods, house->mod_count);
    return true;
}

bool metrics_page_make(struct out *out, const struct snapshot *snapshot)
{
    for (size_t room = ROOM_FIRST; room <= ROOM_MOST; room *= 4) {
        *out = (struct out){ .p = mem_alloc(room), .room = room };
        bool fine = out->p && put_all(out, snapshot);
        if (fine && !out->full)
            return true;
        mem_free(out->p);
        if (!fine)
            break;
    }
    *out = (struct out){ 0 };
    return false;
}
