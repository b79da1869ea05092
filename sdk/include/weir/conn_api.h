/* SPDX-License-Identifier: BSD-2-Clause */
/* conn_api.h: what conn hooks and transports may ask of a client connection. Thread: the worker that owns it. */
#ifndef WEIR_CONN_API_H
#define WEIR_CONN_API_H

#include <weir/api.h>

/* The module's merged configuration of the site that carries this name on the connection's listener: exact, longest
 * wildcard, `_`. An empty name (no SNI): the site `_`, else the only site there that offers TLS. NULL when there is
 * none: refuse the handshake. Valid while the calling function runs (and in the transport's calls until the handshake
 * is done). */
static inline const void *weir_conn_site_conf(weir_conn *c, weir_mod *mod, weir_str server_name)
{
    return weir_api_->conn_site_conf(c, mod, server_name);
}

/* The conn_ctx_size bytes of the module; NULL without memory, or when the module was loaded after the connection
 * came. */
static inline void *weir_conn_ctx(weir_conn *c, weir_mod *mod) { return weir_api_->conn_ctx(c, mod); }

/* The state that this transport keeps for the connection, or NULL when the connection does not use it. */
static inline void *weir_conn_transport(weir_conn *c, const struct weir_transport *transport)
{
    return weir_api_->conn_transport(c, transport);
}

/* The application protocols to agree on for this server name, the preferred first, as ALPN lists them: each name behind
 * a byte with its length ("\x02h2\x08http/1.1"). */
static inline weir_str weir_conn_protocols(weir_conn *c, weir_str server_name)
{
    return weir_api_->conn_protocols(c, server_name);
}

#define WEIR_ADDR_PEER 0u  /* who is at the other end of the socket */
#define WEIR_ADDR_LOCAL 1u
#define WEIR_ADDR_CLIENT 2u /* from PREFACE on: whom the peer's PROXY header names; without one, the peer */
static inline void weir_conn_address(weir_conn *c, uint32_t which, uint8_t out[16], uint16_t *port)
{
    weir_api_->conn_address(c, which, out, port);
}

/* PREFACE: the bytes that have come and are not yet read. Return WEIR_WAIT_BODY to be called again when there are
 *          more. */
static inline weir_str weir_conn_peek(weir_conn *c) { return weir_api_->conn_peek(c); }

/* For ACCEPT and PREFACE hooks (return WEIR_SUSPEND) and for a transport's handshake (answer WEIR_IO_SUSPEND). */
static inline weir_token weir_conn_suspend(weir_conn *c, uint64_t ms, weir_verdict on_timeout)
{
    return weir_api_->conn_suspend(c, ms, on_timeout);
}

#endif
