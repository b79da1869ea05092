/* SPDX-License-Identifier: BSD-2-Clause */
/* cert.c: the client's certificate, verified by the module tls, says who it is. */
#include "auth.h"
#include "pattern.h"

#include <string.h>

static weir_verdict refuse(weir_req *r, const char *reason)
{
    if (!weir_is_dry(r))
        weir_count(r, METRIC_REFUSED, 1);
    return weir_refuse(r, 403, reason);
}

static weir_str variable(weir_req *r, weir_str name)
{
    weir_str value;

    return weir_variable(r, name, &value) == 0 ? value : (weir_str){ NULL, 0 };
}

weir_verdict cert_decide(weir_req *r, const struct conf *conf, struct ctx *ctx)
{
    weir_str verify = variable(r, WEIR_S("tls_client_verify")), subject = variable(r, WEIR_S("tls_client_subject"));

    if (verify.n != 7 || memcmp(verify.p, "SUCCESS", 7) != 0)
        return refuse(r, "no client certificate that could be verified");
    if (conf->subject.n && !pattern_matches(conf->subject, subject))
        return refuse(r, "a client certificate with another subject");
    if (conf->issuer.n && !pattern_matches(conf->issuer, variable(r, WEIR_S("tls_client_issuer"))))
        return refuse(r, "a client certificate from another issuer");
    if (conf->san.n && !pattern_matches_any(conf->san, variable(r, WEIR_S("tls_client_san"))))
        return refuse(r, "a client certificate without that alternative name");
    return auth_admit(r, ctx, subject);
}

int cert_check(weir_conf *c, struct conf *conf)
{
    static const char *const types[] = { "DNS:", "IP:", "URI:", "email:" };

    if (!conf->san.n)
        return 0;
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (conf->san.n > strlen(types[i]) && memcmp(conf->san.p, types[i], strlen(types[i])) == 0)
            return 0;
    return weir_conf_error_at(c, &conf->place, "san=PATTERN begins with DNS:, IP:, URI: or email:");
}
