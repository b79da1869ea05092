/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_host.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char host_dir[64];
uint64_t host_now_ms;
int64_t host_counts[8];
uint64_t host_openssl_bytes;
uint64_t host_fail_after;
uint32_t host_files_read;

/* -- the host's functions ------------------------------------------------------------------------------------------ */

static void *remember(void **list, uint32_t *count, uint32_t room, void *p)
{
    assert_non_null(p);
    assert_true(*count < room);
    list[(*count)++] = p;
    return p;
}

static int mod_error(weir_mod *mod, const char *fmt, va_list ap)
{
    (void)mod;
    vfprintf(stderr, fmt, ap);
    fail();
    return -1;
}

static void say(weir_conf *c, const char *kind, const char *fmt, va_list ap)
{
    size_t n = strlen(c->said);

    n += (size_t)snprintf(c->said + n, sizeof(c->said) - n, "%s: ", kind);
    n += (size_t)vsnprintf(c->said + n, sizeof(c->said) - n, fmt, ap);
    assert_true(n + 2 < sizeof(c->said));
    strcat(c->said, "\n");
}

static int conf_error(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    (void)at;
    say(c, "error", fmt, ap);
    return -1;
}

static void conf_warn(weir_conf *c, const struct weir_place *at, const char *fmt, va_list ap)
{
    (void)at;
    say(c, "warning", fmt, ap);
}

static void *conf_alloc(weir_conf *c, size_t n)
{
    return remember(c->memory, &c->memory_count, 256, calloc(1, n > 0 ? n : 1));
}

static bool conf_is_rehearsal(weir_conf *c)
{
    return c->rehearsal;
}

static weir_table conf_site_names(weir_conf *c)
{
    return (weir_table){ c->name_texts, c->name_count, sizeof(c->name_texts[0]) };
}

static int conf_read_file(weir_conf *c, weir_str path, weir_str *content)
{
    FILE *file = fopen(path.p, "rb");
    char *room = conf_alloc(c, 65536);
    size_t n;

    host_files_read++;
    if (file == NULL)
        return weir_conf_error(c, "%s: %s", path.p, strerror(errno));
    n = fread(room, 1, 65535, file);
    fclose(file);
    *content = (weir_str){ room, n };
    return 0;
}

static weir_str conf_state_path(weir_conf *c, weir_str name)
{
    char *path = conf_alloc(c, 256);

    snprintf(path, 256, "%s/state/%.*s", host_dir, (int)name.n, name.p);
    return (weir_str){ path, strlen(path) };
}

static void conf_offer_tls(weir_conf *c)
{
    c->offers_tls = true;
}

static void *req_alloc(weir_req *r, size_t n)
{
    return remember(r->memory, &r->memory_count, 64, calloc(1, n));
}

static weir_str req_printf(weir_req *r, const char *fmt, va_list ap)
{
    char *text = req_alloc(r, 512);
    int n = vsnprintf(text, 512, fmt, ap);

    return (weir_str){ text, (size_t)n };
}

static weir_str req_part(weir_req *r, uint32_t part)
{
    assert_int_equal(part, WEIR_PART_SITE);
    return (weir_str){ r->site, strlen(r->site) };
}

static weir_verdict refuse(weir_req *r, uint32_t status, const char *reason)
{
    assert_true(strlen(reason) > 0);
    r->refused = status;
    return WEIR_REPLY;
}

static weir_conn *req_conn(weir_req *r)
{
    return r->conn;
}

static void *conn_transport(weir_conn *c, const struct weir_transport *transport)
{
    return transport == host_transport() ? c->transport : NULL;
}

static bool name_fits(const char *pattern, weir_str name)
{
    size_t n = strlen(pattern);

    if (pattern[0] == '*')
        return name.n > n - 1 && memcmp(name.p + name.n - (n - 1), pattern + 1, n - 1) == 0;
    return n == name.n && memcmp(pattern, name.p, n) == 0;
}

static const void *conn_site_conf(weir_conn *c, weir_mod *mod, weir_str name)
{
    const weir_conf *best = NULL;
    size_t best_n = 0;

    (void)mod;
    for (weir_conf *const *site = c->sites; *site != NULL; site++) {
        for (uint32_t i = 0; i < (*site)->name_count; i++) {
            const char *pattern = (*site)->names[i];
            size_t rank = strcmp(pattern, "_") == 0 ? 1 : pattern[0] == '*' ? 1 + strlen(pattern) : 1000;
            if (rank > best_n && (rank == 1 || (name.n > 0 && name_fits(pattern, name)))) {
                best = *site;
                best_n = rank;
            }
        }
    }
    if (best == NULL && name.n == 0 && c->sites[0] != NULL && c->sites[1] == NULL)
        best = c->sites[0];
    return best != NULL ? best->conf : NULL;
}

static weir_str conn_protocols(weir_conn *c, weir_str name)
{
    (void)c;
    (void)name;
    return (weir_str)WEIR_S("\x02h2\x08http/1.1");
}

static uint64_t now(uint32_t which)
{
    return host_now_ms + (which == WEIR_NOW_WALL_MS ? (uint64_t)time(NULL) * 1000 : 5000000);
}

static void mod_count(weir_mod *mod, uint32_t metric, int64_t by)
{
    (void)mod;
    assert_true(metric < weir_module.metrics.count);
    __atomic_add_fetch(&host_counts[metric], by, __ATOMIC_RELAXED);
}

static const struct weir_api api = {
    .size = sizeof(struct weir_api), .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR,
    .mod_error = mod_error, .conf_error = conf_error, .conf_warn = conf_warn, .conf_alloc = conf_alloc,
    .conf_is_rehearsal = conf_is_rehearsal, .conf_site_names = conf_site_names, .conf_read_file = conf_read_file,
    .conf_state_path = conf_state_path, .conf_offer_tls = conf_offer_tls, .req_alloc = req_alloc,
    .req_printf = req_printf, .req_part = req_part, .refuse = refuse, .req_conn = req_conn,
    .conn_transport = conn_transport, .conn_site_conf = conn_site_conf, .now = now, .mod_count = mod_count,
    .conn_protocols = conn_protocols,
};
const struct weir_api *weir_api_ = &api; /* for the inline functions used here */

/* -- OpenSSL's memory, counted ------------------------------------------------------------------------------------- */

union head {
    size_t n;
    max_align_t align;
};

static bool shall_fail(void)
{
    if (host_fail_after == 0)
        return false;
    host_fail_after -= host_fail_after > 1;
    return host_fail_after == 1;
}

static void *counted_malloc(size_t n, const char *file, int line)
{
    union head *head = shall_fail() ? NULL : malloc(sizeof(*head) + n);

    (void)file, (void)line;
    if (head == NULL)
        return NULL;
    head->n = n;
    __atomic_add_fetch(&host_openssl_bytes, n, __ATOMIC_RELAXED);
    return head + 1;
}

static void counted_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    if (p == NULL)
        return;
    __atomic_sub_fetch(&host_openssl_bytes, ((union head *)p - 1)->n, __ATOMIC_RELAXED);
    free((union head *)p - 1);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    union head *head = p != NULL ? (union head *)p - 1 : NULL;
    size_t old = head != NULL ? head->n : 0;

    if (n == 0) {
        counted_free(p, file, line);
        return NULL;
    }
    head = shall_fail() ? NULL : realloc(head, sizeof(*head) + n);
    if (head == NULL)
        return NULL;
    __atomic_add_fetch(&host_openssl_bytes, n - old, __ATOMIC_RELAXED);
    head->n = n;
    return head + 1;
}

void host_start(void)
{
    char state[80];

    CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free);
    strcpy(host_dir, "/tmp/weir-tls-test-XXXXXX");
    if (mkdtemp(host_dir) == NULL)
        abort();
    snprintf(state, sizeof(state), "%s/state", host_dir);
    mkdir(state, 0700);
    *weir_module.api = &api;
    if (weir_module.load((weir_mod *)&weir_module) != 0)
        abort();
}

void host_stop(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", host_dir);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", host_dir);
}

/* -- binding ------------------------------------------------------------------------------------------------------- */

static const void *element(weir_table table, uint32_t i)
{
    return (const char *)table.base + (size_t)i * table.stride;
}

static weir_str keep_text(weir_conf *c, const char *text, bool is_path)
{
    char *copy = conf_alloc(c, 512);

    if (is_path && text[0] != '/')
        snprintf(copy, 512, "%s/%s", host_dir, text);
    else
        snprintf(copy, 512, "%s", text);
    return (weir_str){ copy, strlen(copy) };
}

static uint32_t choice_of(const char *choices, const char *word)
{
    uint32_t at = 0;
    size_t n = strlen(word);

    for (const char *p = choices; p != NULL; p = strchr(p, '|') != NULL ? strchr(p, '|') + 1 : NULL, at++) {
        if (strncmp(p, word, n) == 0 && (p[n] == '|' || p[n] == 0))
            return at;
    }
    fail_msg("no such choice: %s", word);
    return 0;
}

static void store_one(weir_conf *c, const struct weir_arg *arg, const char *word, void *to)
{
    switch (arg->type) {
    case WEIR_TYPE_PATH: *(weir_str *)to = keep_text(c, word, true); break;
    case WEIR_TYPE_STR: *(weir_str *)to = keep_text(c, word, false); break;
    case WEIR_TYPE_ENUM: *(uint32_t *)to = choice_of(arg->choices, word); break;
    case WEIR_TYPE_FLAG: *(bool *)to = strcmp(word, "on") == 0; break;
    default: fail_msg("argument type %u", arg->type);
    }
}

static void store_rest(weir_conf *c, const struct weir_arg *arg, char **rest, weir_table *to)
{
    uint32_t *values = conf_alloc(c, 16 * sizeof(*values)), count = 0;

    for (char *word; (word = strtok_r(NULL, " ", rest)) != NULL; count++)
        store_one(c, arg, word, &values[count]);
    *to = (weir_table){ values, count, sizeof(*values) };
}

static void store_arguments(weir_conf *c, const struct weir_directive *directive, char *rest, void *to)
{
    for (uint32_t i = 0; i < directive->args.count; i++) {
        const struct weir_arg *arg = element(directive->args, i);
        void *field = (char *)to + arg->offset;
        char *word;
        if (arg->type == WEIR_TYPE_PLACE) {
            *(struct weir_place *)field = (struct weir_place){ WEIR_S("test.conf"), 1, 1 };
        } else if ((arg->flags & WEIR_ARG_REST) != 0) {
            store_rest(c, arg, &rest, field);
        } else if ((word = strtok_r(NULL, " ", &rest)) != NULL) {
            store_one(c, arg, word, field);
        } else {
            assert_true((arg->flags & WEIR_ARG_OPTIONAL) != 0);
        }
    }
}

static void *add_record(weir_conf *c, const struct weir_directive *directive, bool *is_own)
{
    weir_table *table = (weir_table *)(void *)((char *)c->conf + directive->offset);
    uint32_t count = *is_own ? table->count : 0; /* WEIR_MERGE_REPLACE */
    char *records = conf_alloc(c, (count + 1) * directive->record_size);

    assert_int_equal(directive->merge, WEIR_MERGE_REPLACE);
    if (count > 0)
        memcpy(records, table->base, (size_t)count * directive->record_size);
    *table = (weir_table){ records, count + 1, directive->record_size };
    *is_own = true;
    return records + (size_t)count * directive->record_size;
}

static void store_defaults(weir_conf *c)
{
    for (uint32_t i = 0; i < weir_module.directives.count; i++) {
        const struct weir_directive *directive = element(weir_module.directives, i);
        for (uint32_t k = 0; directive->record_size == 0 && k < directive->args.count; k++) {
            const struct weir_arg *arg = element(directive->args, k);
            if (arg->fallback != NULL)
                store_one(c, arg, arg->fallback, (char *)c->conf + arg->offset);
        }
    }
}

static const struct weir_directive *find_directive(const char *name)
{
    for (uint32_t i = 0; i < weir_module.directives.count; i++) {
        const struct weir_directive *directive = element(weir_module.directives, i);
        if (strcmp(directive->name, name) == 0)
            return directive;
    }
    fail_msg("no directive %s", name);
    return NULL;
}

static void set_names(weir_conf *c, const char *names)
{
    char *copy = keep_text(c, names, false).p == NULL ? NULL : c->memory[c->memory_count - 1], *rest = NULL;

    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(c->name_count < 4);
        c->names[c->name_count] = word;
        c->name_texts[c->name_count++] = (weir_str){ word, strlen(word) };
    }
}

bool host_bind(weir_conf *c, weir_conf *outer, const char *names, const char *statements)
{
    bool rehearsal = c->rehearsal, is_own = false;
    char *text, *line_rest = NULL;

    memset(c, 0, sizeof(*c));
    c->rehearsal = rehearsal;
    c->conf = conf_alloc(c, weir_module.conf_size);
    if (outer != NULL)
        memcpy(c->conf, outer->conf, weir_module.conf_size);
    else
        store_defaults(c);
    set_names(c, names);
    text = strdup(statements);
    for (char *line = strtok_r(text, ";", &line_rest); line != NULL; line = strtok_r(NULL, ";", &line_rest)) {
        char *rest = NULL, *name = strtok_r(line, " ", &rest);
        const struct weir_directive *directive = name != NULL ? find_directive(name) : NULL;
        if (directive == NULL)
            continue;
        store_arguments(c, directive, rest, directive->record_size > 0 ? add_record(c, directive, &is_own) : c->conf);
    }
    free(text);
    c->is_bound = weir_module.check(c, c->conf) != WEIR_CONF_ERROR;
    return c->is_bound;
}

void host_drop(weir_conf *c)
{
    if (c->is_bound)
        weir_module.drop(c->conf);
    for (uint32_t i = 0; i < c->memory_count; i++)
        free(c->memory[i]);
    memset(c, 0, sizeof(*c));
}

/* -- hooks and variables ------------------------------------------------------------------------------------------- */

const struct weir_transport *host_transport(void)
{
    const struct weir_hook *hook = element(weir_module.hooks, 0);

    return hook->transport;
}

weir_verdict host_run_hook(weir_req *r, uint32_t stage, const weir_conf *site)
{
    for (uint32_t i = 0; i < weir_module.hooks.count; i++) {
        const struct weir_hook *hook = element(weir_module.hooks, i);
        if (hook->stage == stage)
            return hook->req(r, site->conf, NULL);
    }
    fail_msg("no hook at %u", stage);
    return WEIR_FAIL;
}

const char *host_variable(weir_req *r, const char *name)
{
    for (uint32_t i = 0; i < weir_module.variables.count; i++) {
        const struct weir_variable *variable = element(weir_module.variables, i);
        weir_str value;
        if (strcmp(variable->name, name) != 0)
            continue;
        if (variable->get(r, NULL, NULL, WEIR_S(""), &value) != 0)
            return "-";
        char *copy = req_alloc(r, value.n + 1);
        memcpy(copy, value.p, value.n);
        return copy;
    }
    fail_msg("no variable %s", name);
    return NULL;
}

void host_end_request(weir_req *r)
{
    for (uint32_t i = 0; i < r->memory_count; i++)
        free(r->memory[i]);
    r->memory_count = 0;
}

/* -- connections --------------------------------------------------------------------------------------------------- */

void make_sockets(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

void *host_prepare(weir_conf *c, struct weir_transport_wish wish)
{
    if (wish.ca_file.n > 0)
        wish.ca_file = keep_text(c, wish.ca_file.p, true);
    if (wish.certificate.n > 0)
        wish.certificate = keep_text(c, wish.certificate.p, true);
    if (wish.key.n > 0)
        wish.key = keep_text(c, wish.key.p, true);
    return host_transport()->prepare(c, &wish);
}

static void open_server(struct pair *p, weir_conf *const *sites)
{
    memset(p, 0, sizeof(*p));
    make_sockets(p->fds);
    p->conn.sites = sites;
    p->server = host_transport()->accept(&p->conn, p->fds[0]);
    assert_non_null(p->server);
    p->conn.transport = p->server;
    p->server_rc = p->client_rc = WEIR_IO_WANT_READ;
}

void pair_open(struct pair *p, weir_conf *const *sites, void *prepared)
{
    open_server(p, sites);
    p->client = host_transport()->open(prepared, p->fds[1]);
    assert_non_null(p->client);
}

static bool is_waiting(int rc)
{
    return rc == WEIR_IO_WANT_READ || rc == WEIR_IO_WANT_WRITE;
}

static int step(void *state, int rc, char why[512])
{
    weir_str said = { NULL, 0 };

    if (!is_waiting(rc))
        return rc;
    rc = host_transport()->handshake(state, &said);
    if (rc != 1 && !is_waiting(rc))
        snprintf(why, 512, "%.*s", (int)said.n, said.p);
    return rc;
}

bool pair_shake(struct pair *p)
{
    for (int turn = 0; turn < 50 && (is_waiting(p->server_rc) || is_waiting(p->client_rc)); turn++) {
        p->client_rc = step(p->client, p->client_rc, p->client_why);
        p->server_rc = step(p->server, p->server_rc, p->server_why);
    }
    return p->server_rc == 1 && p->client_rc == 1;
}

bool raw_shake(struct pair *p, weir_conf *const *sites, SSL *client)
{
    open_server(p, sites);
    SSL_set_fd(client, p->fds[1]);
    SSL_set_connect_state(client);
    for (int turn = 0; turn < 50 && (is_waiting(p->server_rc) || is_waiting(p->client_rc)); turn++) {
        if (is_waiting(p->client_rc)) {
            int rc = SSL_do_handshake(client);
            int code = SSL_get_error(client, rc);
            p->client_rc = rc == 1 ? 1 : code == SSL_ERROR_WANT_READ ? WEIR_IO_WANT_READ : WEIR_IO_ERROR;
            if (p->client_rc == WEIR_IO_ERROR)
                snprintf(p->client_why, sizeof(p->client_why), "%s", ERR_reason_error_string(ERR_peek_error()));
            ERR_clear_error();
        }
        p->server_rc = step(p->server, p->server_rc, p->server_why);
    }
    return p->server_rc == 1 && p->client_rc == 1;
}

void pair_close(struct pair *p)
{
    if (p->server != NULL)
        host_transport()->close(p->server);
    if (p->client != NULL)
        host_transport()->close(p->client);
    close(p->fds[0]);
    close(p->fds[1]);
}

/* -- certificates -------------------------------------------------------------------------------------------------- */

char *in_dir(const char *name)
{
    static char paths[8][128];
    static unsigned int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", host_dir, name);
    return path;
}

void write_text(const char *name, const char *text)
{
    FILE *file = fopen(in_dir(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

static FILE *open_part(const char *name, const char *suffix, const char *mode)
{
    char full[64];
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", name, suffix);
    file = fopen(in_dir(full), mode);
    assert_non_null(file);
    return file;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

void make_certificate(const struct recipe *recipe)
{
    EVP_PKEY *key = recipe->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), *issuer_key = key;
    X509 *certificate = X509_new(), *issuer = certificate;
    FILE *file;

    assert_non_null(key);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0x1234);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 86400L * recipe->first_day);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * recipe->last_day);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)recipe->subject, -1, -1, 0);
    X509_set_pubkey(certificate, key);
    if (recipe->is_ca)
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (recipe->names != NULL)
        add_extension(certificate, NID_subject_alt_name, recipe->names);
    if (recipe->issuer != NULL) {
        file = open_part(recipe->issuer, ".crt", "r");
        issuer = PEM_read_X509(file, NULL, NULL, NULL);
        fclose(file);
        file = open_part(recipe->issuer, ".key", "r");
        issuer_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        fclose(file);
    }
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    file = open_part(recipe->name, ".crt", "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = open_part(recipe->name, ".key", "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    if (recipe->issuer != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}
