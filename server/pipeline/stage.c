/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/stage.h"

static const struct {
    uint32_t at;
    const char *name;
    enum stage_shape shape;
} stages[STAGE_COUNT] = {
    [STAGE_ACCEPT] = { WEIR_AT_ACCEPT, "ACCEPT", SHAPE_CONN },
    [STAGE_PREFACE] = { WEIR_AT_PREFACE, "PREFACE", SHAPE_CONN },
    [STAGE_TRANSPORT] = { WEIR_AT_TRANSPORT, "TRANSPORT", SHAPE_TRANSPORT },
    [STAGE_IDENTIFY] = { WEIR_AT_IDENTIFY, "IDENTIFY", SHAPE_REQ },
    [STAGE_GUARD] = { WEIR_AT_GUARD, "GUARD", SHAPE_REQ },
    [STAGE_AUTH] = { WEIR_AT_AUTH, "AUTH", SHAPE_REQ },
    [STAGE_REWRITE] = { WEIR_AT_REWRITE, "REWRITE", SHAPE_REQ },
    [STAGE_SERVE] = { WEIR_AT_SERVE, "SERVE", SHAPE_REQ },
    [STAGE_REQ_BODY] = { WEIR_AT_REQ_BODY, "REQ_BODY", SHAPE_BYTES },
    [STAGE_BALANCE] = { WEIR_AT_BALANCE, "BALANCE", SHAPE_BALANCE },
    [STAGE_UP_HEAD] = { WEIR_AT_UP_HEAD, "UP_HEAD", SHAPE_REQ },
    [STAGE_UP_RSP] = { WEIR_AT_UP_RSP, "UP_RSP", SHAPE_REQ },
    [STAGE_STORE] = { WEIR_AT_STORE, "STORE", SHAPE_BYTES },
    [STAGE_RSP_HEAD] = { WEIR_AT_RSP_HEAD, "RSP_HEAD", SHAPE_REQ },
    [STAGE_TRANSFORM] = { WEIR_AT_TRANSFORM, "TRANSFORM", SHAPE_BYTES },
    [STAGE_ENCODE] = { WEIR_AT_ENCODE, "ENCODE", SHAPE_BYTES },
    [STAGE_LOG] = { WEIR_AT_LOG, "LOG", SHAPE_REQ },
};

enum stage stage_of(uint32_t at)
{
    /* The numbers are hundreds in the order of the enum, so the common case needs no search. */
    uint32_t guess = at / 100 - 1;
    if (guess < STAGE_COUNT && stages[guess].at == at)
        return (enum stage)guess;
    for (unsigned i = 0; i < STAGE_COUNT; i++)
        if (stages[i].at == at)
            return (enum stage)i;
    return STAGE_NONE;
}

uint32_t stage_at(enum stage stage)
{
    return stage < STAGE_COUNT ? stages[stage].at : 0;
}

str stage_name(enum stage stage)
{
    return stage < STAGE_COUNT ? str_of(stages[stage].name) : S("(none)");
}

static bool is_named(str name, const char *stage)
{
    if (name.n != strlen(stage))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i] == '-' ? '_' : name.p[i];
        if (char_lower(c) != char_lower(stage[i]))
            return false;
    }
    return true;
}

enum stage stage_by_name(str name)
{
    for (unsigned i = 0; i < STAGE_COUNT; i++)
        if (is_named(name, stages[i].name))
            return (enum stage)i;
    return STAGE_NONE;
}

enum stage_shape stage_shape(enum stage stage)
{
    return stages[stage].shape;
}
