/* SPDX-License-Identifier: BSD-2-Clause */
/* core_conf.h: what the request engine itself asks of the configuration, merged per scope like any module's. */
#ifndef PIPELINE_CORE_CONF_H
#define PIPELINE_CORE_CONF_H

#include <weir/conf.h>

struct error_page {   /* record of `error_page STATUS... PATH;` */
    weir_table statuses; /* of uint64_t */
    weir_str path;
    weir_str content;    /* read when bound */
    weir_str media_type; /* by the file's ending */
    struct weir_place place;
};

struct enforcement {   /* record of `enforce on|off NAME...;` */
    uint32_t how;        /* ENFORCE_* */
    weir_table names;    /* of weir_str: modules */
};
enum { ENFORCE_OFF, ENFORCE_ON };
enum { SATISFY_ALL, SATISFY_ANY };

struct core_conf {
    uint64_t max_body;                    /* bytes; 0: no limit */
    uint64_t max_header_size, max_headers, max_streams; /* top */
    uint64_t why_ring;                    /* top: requests to remember; 0: none */
    bool http2;
    uint64_t max_connections, max_per_client, max_memory; /* top; overload.h says what 0 and the like mean */
    uint64_t min_rate;                    /* bytes a second; 0: none */
    weir_str max_connections_said, max_memory_said;
    /* ms */
    uint64_t timeout_header, timeout_body, timeout_send, timeout_idle, timeout_connect, timeout_response,
        timeout_tunnel;
    weir_table error_pages;               /* of struct error_page, inner first */
    weir_table enforcements;              /* of struct enforcement, inner first */
    uint32_t satisfy;                     /* SATISFY_* */
    weir_table trusted_proxies;           /* of struct weir_cidr; top */
};

#endif
