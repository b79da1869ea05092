/* SPDX-License-Identifier: BSD-2-Clause */
/* weir-harness.h: a host in memory for tests of one module: the real .so, no sockets, every awkward moment on demand.
 *
 * Shape:   harness_open() loads the module, harness_bind() makes configuration from text, harness_request() a request;
 *          then harness_run() calls the module's req hooks of a stage and harness_feed() drives its bytes hook.
 * Use:     compile the .c files of this folder into the test program (C11, -ldl); any test framework will do. The test
 *          may call the SDK's functions on what it holds: weir_status(r), weir_rsp_get(r, ...), weir_dict_get(...).
 * Memory:  every allocation a module makes is a malloc of its own, so that AddressSanitizer sees each byte too far.
 * Owner:   what a harness_ function returns lives until harness_end() of its request, else until harness_close().
 * Thread:  one; one harness at a time. Jobs run inside harness_run_jobs().
 * Errors:  a broken contract (of the module's, or of the test's) prints one line and aborts. */
#ifndef WEIR_HARNESS_H
#define WEIR_HARNESS_H

#include <weir/weir.h>

struct harness;
struct harness_scope;

/* The module, its descriptor checked, load() and thread_up() called. path: of the .so, or a bare name, looked for in
 * the folder $WEIR_MODULES. adopt: a module that is part of the test program. NULL after a line on stderr. */
struct harness *harness_open(const char *path);
struct harness *harness_adopt(const struct weir_module *module);
void harness_close(struct harness *h); /* drops scopes (inner first), thread_down, ends what is left open */
const struct weir_module *harness_module(const struct harness *h);
weir_mod *harness_mod(struct harness *h);

/* -- configuration ------------------------------------------------------------------------------------------------- */

/* One scope from statements as in "gzip on; gzip_types text/plain a/b;", merged with the outer one (NULL: defaults),
 * check() called. kind: one of WEIR_IN_*. NULL: refused, harness_errors() says why, a line each. Places are in a file
 * "harness.conf". */
struct harness_scope *harness_bind(struct harness *h, struct harness_scope *outer, uint32_t kind,
                                   const char *statements);
const char *harness_errors(const struct harness *h);
const void *harness_conf(const struct harness_scope *scope);
bool harness_is_active(const struct harness_scope *scope); /* check() did not say INACTIVE */
/* What templates and weir_variable() find under this name, for all requests; NULL: no value. */
void harness_set_variable(struct harness *h, const char *name, const char *value);
void harness_set_file(struct harness *h, const char *path, const char *content); /* for weir_conf_read_file */

/* -- requests ------------------------------------------------------------------------------------------------------ */

/* A request; fields as "Name: value\n" lines, NULL: none. The client's address is 192.0.2.1 until set. */
weir_req *harness_request(struct harness *h, struct harness_scope *scope, const char *method, const char *target,
                          const char *fields);
void harness_set_client(weir_req *r, const char *address);
void harness_set_trusted(weir_req *r, bool is_trusted); /* weir_client_is_trusted() */
void harness_set_dry(weir_req *r, bool is_dry);
void harness_set_shadow(weir_req *r, bool is_shadow);
void harness_set_number(weir_req *r, uint32_t which, uint64_t value); /* WEIR_NUM_* */
void harness_respond(weir_req *r, uint32_t status, const char *fields); /* as if the origin had answered */
void harness_end(weir_req *r); /* on_end functions, then the memory */

/* Calls the module's req hooks of this stage in order, as long as they say NEXT; the verdict of the last one called.
 * Hooks of an inactive scope are left out. The request may be run again after WEIR_WAIT_BODY. */
weir_verdict harness_run(weir_req *r, uint32_t stage);
/* After WEIR_SUSPEND: the verdict the module resumed with; WEIR_SUSPEND as long as it has not. */
weir_verdict harness_settle(weir_req *r);

uint32_t harness_field_count(weir_req *r, uint32_t where, const char *name);
weir_str harness_reply_body(weir_req *r);       /* of weir_reply */
const char *harness_refuse_reason(weir_req *r); /* of weir_refuse or weir_fail; NULL: neither */
uint64_t harness_wanted_body(weir_req *r);
bool harness_is_engaged(weir_req *r, uint32_t stage);

/* -- bodies -------------------------------------------------------------------------------------------------------- */

struct harness_feeding {
    size_t piece; /* the input comes in pieces this large; 0: in one */
    size_t room;  /* credit of each call; 0: without bound */
    bool flush;   /* WEIR_FLUSH with each piece */
    size_t calls; /* give up after so many calls, as when the client goes; 0: never */
};
struct harness_fed {
    weir_str out;
    size_t calls;
    bool is_finished;  /* the hook ended in order */
    bool is_passing;   /* it said SKIP before the end; the rest was passed on untouched */
    weir_verdict last; /* WEIR_FAIL: it broke the body off */
};
/* One whole body through the module's bytes hook of that stage. A hook without progress although it could aborts. */
struct harness_fed harness_feed(weir_req *r, uint32_t stage, weir_str input, const struct harness_feeding *feeding);

/* -- connections --------------------------------------------------------------------------------------------------- */

weir_conn *harness_connect(struct harness *h, struct harness_scope *scope, const char *peer);
void harness_set_preface(weir_conn *c, weir_str bytes);
weir_verdict harness_run_conn(weir_conn *c, uint32_t stage);
void harness_disconnect(weir_conn *c);

/* -- requests of the module's own --------------------------------------------------------------------------------- */

struct harness_fetch {
    weir_str method, target, fields, content; /* fields: "Name: value\n" lines */
    bool for_client;
};
const struct harness_fetch *harness_fetched(const struct harness *h); /* the oldest without an answer; NULL: none */
/* Answers that one; status 0: there is none. fields as "Name: value\n" lines, NULL: none. */
void harness_answer(struct harness *h, uint32_t status, const char *fields, weir_str content);

/* -- faults, time, what came out ----------------------------------------------------------------------------------- */

/* The nth allocation from now on fails, once (1: the next one; 0: none): each SDK call that takes memory counts. A test
 * raises n until harness_has_failed() stays false. */
void harness_fail_allocation(struct harness *h, size_t nth);
bool harness_has_failed(const struct harness *h); /* the failure asked for has happened */

void harness_advance(struct harness *h, uint64_t ms); /* moves the clock: timers fire, suspensions time out */
size_t harness_run_jobs(struct harness *h);           /* work, done and drop of each waiting job; how many */

const char *harness_log(const struct harness *h);                      /* everything logged, a line each */
/* Runs a command of the module; words end with NULL. What it said, and *rc what it returned. */
const char *harness_command(struct harness *h, int *rc, const char *name, const char *const *words);
/* What stands in `weir status` under this subject; NULL: nothing. */
const char *harness_note(const struct harness *h, const char *subject);
const char *harness_sink(const struct harness *h, const char *target); /* everything written; NULL: never opened */
const struct weir_sink_options *harness_sink_options(const struct harness *h, const char *target);
int64_t harness_metric(const struct harness *h, const char *name);     /* the sum so far */

#endif
