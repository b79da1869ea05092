/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h: what the files of the request engine ask of each other; nobody else includes it. */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include "pipeline/request.h"

enum { REROUTES_MOST = 8 };

/* goes on with hooks from r->stage, r->step until one waits or all are through */
void request_run(struct weir_req *r);
void request_enter(struct weir_req *r, enum stage stage);
void request_finish(struct weir_req *r);        /* LOG, then codec->done and the end */
void request_abandon_origin(struct weir_req *r);
void request_forget_suspension(struct weir_req *r);

/* identify.c: client address and request id, before the IDENTIFY hooks */
bool request_identify(struct weir_req *r);
bool request_client_is_trusted(const struct weir_req *r); /* the client itself is a proxy of trusted_proxies */

void response_begin(struct weir_req *r);        /* respond.c: RSP_HEAD is through: head and body go to the codec */
void response_start_reply(struct weir_req *r);  /* an answer of our own is set: enters RSP_HEAD */
/* the head is out: let the client see that the rest is missing */
void response_broken(struct weir_req *r, const char *why);
void response_pump(struct weir_req *r);         /* r->down moved: hand on what can go */

#endif
