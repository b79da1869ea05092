/* SPDX-License-Identifier: BSD-2-Clause */
/* exposition.h: lines of the Prometheus text format.
 *
 * Shape:   a family's head, then all its samples, before the next family begins.
 * Owner:   out is the caller's; `full` is set when the text has no room (out.h).
 * Source:  Prometheus text-based exposition format, version 0.0.4. */
#ifndef PIPELINE_EXPOSITION_H
#define PIPELINE_EXPOSITION_H

#include "base/latency.h"
#include "base/out.h"

#define EXPO_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct expo_label {
    const char *name;
    str value; /* any bytes: quotes are escaped, and what is no UTF-8 becomes \\xNN */
};

/* kind: counter, gauge or histogram */
void expo_family(struct out *out, const char *name, const char *kind, const char *help);
void expo_u64(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t value);
void expo_i64(struct out *out, const char *name, const struct expo_label *labels, unsigned count, int64_t value);
/* value as seconds */
void expo_us(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t us);
void expo_ns(struct out *out, const char *name, const struct expo_label *labels, unsigned count, uint64_t ns);
/* A row of latency.h: buckets, sum and count, in seconds. At most EXPO_LABELS_MOST labels. */
enum { EXPO_LABELS_MOST = 4 };
void expo_latency(struct out *out, const char *name, const struct expo_label *labels, unsigned count,
                  const uint64_t *row);

#endif
