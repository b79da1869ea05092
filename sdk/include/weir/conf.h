/* SPDX-License-Identifier: BSD-2-Clause */
/* conf.h: directives: what a module's configuration looks like, said once in a table.
 *
 * Shape:   a directive is a name and its arguments; each argument says its type and where its value goes. Without
 *          record_size the arguments fill fields of the module's own conf struct; with it, each statement adds one
 *          record to a list in conf. From the table come parsing, defaults, inheritance, error messages, the manual and
 *          `weir modules`.
 * Merging: an inner scope starts as a copy of the outer scope's merged struct; its statements then replace scalars,
 *          name by name, and add records to lists. A scope without a statement of the module shares the outer scope's
 *          struct. `NAME clear;` puts the default back (lists: empties them) before the scope's own statements.
 * Owner:   everything that is stored in a conf struct lives as long as its snapshot and is constant after check().
 * Thread:  the thread that binds; never a worker.
 * Errors:  report with weir_conf_error() and return -1; binding goes on, so that a user sees all mistakes at once. */
#ifndef WEIR_CONF_H
#define WEIR_CONF_H

#include <stdarg.h>
#include <weir/abi.h>

/* Scopes in which a directive may stand (or together). */
#define WEIR_IN_TOP 1u
#define WEIR_IN_SITE 2u
#define WEIR_IN_ROUTE 4u
#define WEIR_IN_UPSTREAM 8u
#define WEIR_IN_HTTP (WEIR_IN_TOP | WEIR_IN_SITE | WEIR_IN_ROUTE)

/* Argument types and the C type of the field each one fills. */
#define WEIR_TYPE_FLAG 1u      /* bool: on | off */
#define WEIR_TYPE_UINT 2u      /* uint64_t: decimal digits */
#define WEIR_TYPE_SIZE 3u      /* uint64_t bytes: 16k 1m 2g, powers of 1024 */
#define WEIR_TYPE_DURATION 4u  /* uint64_t milliseconds: 500ms 5s 10m 1h 7d */
#define WEIR_TYPE_RATE 5u      /* struct weir_rate: 10r/s 600r/m 100r/h */
#define WEIR_TYPE_ENUM 6u      /* uint32_t: index into choices */
#define WEIR_TYPE_STR 7u       /* weir_str, NUL behind it */
#define WEIR_TYPE_TEMPLATE 8u  /* weir_tmpl *: text with $name or ${name} */
#define WEIR_TYPE_CIDR 9u      /* struct weir_cidr: address or network; `all` is ::/0 */
/* weir_str, absolute: relative ones are taken from the file that names them; NUL behind it */
#define WEIR_TYPE_PATH 10u
#define WEIR_TYPE_UPSTREAM 11u /* weir_upstream *: an upstream's name, http://..., https://... or unix:... */
#define WEIR_TYPE_PLACE 12u    /* struct weir_place: takes no argument; says where the statement stands */

struct weir_rate {
    uint64_t events;
    uint64_t period; /* milliseconds */
};

struct weir_cidr {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint32_t bits;       /* 0..128; an IPv4 /n is 96 + n */
};

struct weir_place {
    weir_str file;
    uint32_t line, column;
};

/* Flags of an argument. */
#define WEIR_ARG_OPTION 1u   /* name=value, in any order */
#define WEIR_ARG_WORD 2u     /* the bare word `name` sets a bool field, in any order */
#define WEIR_ARG_OPTIONAL 4u /* positional, may be left out */
/* positional, all remaining ones: the field is a weir_table of the type; at least one unless OPTIONAL */
#define WEIR_ARG_REST 8u
#define WEIR_ARG_LIST 16u    /* OPTION whose value is a comma separated list: the field is a weir_table of the type */
#define WEIR_ARG_REQUIRED 32u /* an OPTION that must be given */

struct weir_arg {
    const char *name;     /* the option's key; for positional ones a word for messages and the manual, as in "STATUS" */
    uint32_t type;        /* WEIR_TYPE_* */
    uint32_t flags;       /* WEIR_ARG_* */
    uint32_t offset;      /* of the field, in conf or in the record */
    const char *choices;  /* ENUM: "off|on|detect" */
    const char *fallback; /* the default as text; NULL: zero */
    uint64_t min, max;    /* numbers; max 0: no bound */
};

/* How a scope meets the one outside it. */
#define WEIR_MERGE_INHERIT 0u     /* scalars and options: what is set inside replaces; records: as APPEND */
#define WEIR_MERGE_APPEND 1u      /* lists: outer records first, inner ones behind them */
#define WEIR_MERGE_INNER_FIRST 2u /* lists whose first match decides: inner records first */
#define WEIR_MERGE_REPLACE 3u     /* lists: any inner record replaces all outer ones */
#define WEIR_MERGE_LOCAL 4u       /* holds only in the very scope that says it */

struct weir_directive {
    const char *name;
    const char *doc;      /* one line for the manual */
    uint32_t scopes;      /* WEIR_IN_* */
    uint32_t merge;       /* WEIR_MERGE_* */
    uint32_t record_size; /* 0: arguments fill conf; else conf + offset is a weir_table of records this large */
    uint32_t offset;      /* of that table; several directives may name the same one and so feed one ordered list */
    weir_table args;      /* of struct weir_arg */
    uint32_t tag;         /* the module's own, for set() */
    uint32_t flags;       /* WEIR_DIR_* */
    /* Called when the statement's arguments are stored; `to` is the conf struct or the new record. May be NULL. 0, or
     * -1 after
     * weir_conf_error(). */
    int (*set)(weir_conf *conf, const struct weir_directive *directive, void *to);
};
#define WEIR_DIR_REPEATABLE 1u /* may stand several times in one scope although it fills no list */

/* The usual directive: one value into one field, whose C type the compiler checks:
 *     WEIR_DIR(struct conf, limit, UINT, "tally_limit", WEIR_IN_HTTP, "0", "requests per window; 0 is off") */
#define WEIR_DIR(Struct, Field, Type, Name, Scopes, Default, Doc) \
    WEIR_DIR_BOUND(Struct, Field, Type, Name, Scopes, Default, 0, 0, Doc)
#define WEIR_DIR_BOUND(Struct, Field, Type, Name, Scopes, Default, Min, Max, Doc) \
    { .name = (Name), .doc = (Doc), .scopes = (Scopes), \
      .args = { (const struct weir_arg[]){ { .name = "VALUE", .type = WEIR_TYPE_##Type, .fallback = (Default), \
                .min = (Min), .max = (Max), \
                .offset = WEIR_FIELD(Struct, Field, WEIR_C_##Type) } }, 1, sizeof(struct weir_arg) } }
#define WEIR_DIR_ENUM(Struct, Field, Name, Scopes, Choices, Default, Doc) \
    { .name = (Name), .doc = (Doc), .scopes = (Scopes), \
      .args = { (const struct weir_arg[]){ { .name = "VALUE", .type = WEIR_TYPE_ENUM, .choices = (Choices), \
                .fallback = (Default), \
                .offset = WEIR_FIELD(Struct, Field, WEIR_C_ENUM) } }, 1, sizeof(struct weir_arg) } }

/* The offset of a field, refused by the compiler when its type is not the one named. */
#define WEIR_FIELD(Struct, Field, CType) \
    (uint32_t)(offsetof(Struct, Field) + 0 * sizeof(char[WEIR_HAS_TYPE(Struct, Field, CType)]))
#define WEIR_HAS_TYPE(Struct, Field, CType) _Generic(&((Struct *)0)->Field, CType *: 1, const CType *: 1, default: -1)
#define WEIR_C_FLAG bool
#define WEIR_C_UINT uint64_t
#define WEIR_C_SIZE uint64_t
#define WEIR_C_DURATION uint64_t
#define WEIR_C_RATE struct weir_rate
#define WEIR_C_ENUM uint32_t
#define WEIR_C_STR weir_str
#define WEIR_C_TEMPLATE weir_tmpl *
#define WEIR_C_CIDR struct weir_cidr
#define WEIR_C_PATH weir_str
#define WEIR_C_UPSTREAM weir_upstream *
#define WEIR_C_PLACE struct weir_place

/* What check() may answer. */
#define WEIR_CONF_OK 0
#define WEIR_CONF_INACTIVE 1 /* no hook of this module is needed in this scope */
#define WEIR_CONF_ERROR (-1)

#endif
