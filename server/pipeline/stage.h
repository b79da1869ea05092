/* SPDX-License-Identifier: BSD-2-Clause */
/* stage.h: the stages of the pipeline as dense numbers, their names, and what kind of callback each one takes. */
#ifndef PIPELINE_STAGE_H
#define PIPELINE_STAGE_H

#include "base/str.h"

#include <weir/module.h>

enum stage {
    STAGE_ACCEPT,
    STAGE_PREFACE,
    STAGE_TRANSPORT,
    STAGE_IDENTIFY,
    STAGE_GUARD,
    STAGE_AUTH,
    STAGE_REWRITE,
    STAGE_SERVE,
    STAGE_REQ_BODY,
    STAGE_BALANCE,
    STAGE_UP_HEAD,
    STAGE_UP_RSP,
    STAGE_STORE,
    STAGE_RSP_HEAD,
    STAGE_TRANSFORM,
    STAGE_ENCODE,
    STAGE_LOG,
    STAGE_COUNT,
    STAGE_NONE = STAGE_COUNT
};
enum stage_shape { SHAPE_CONN, SHAPE_REQ, SHAPE_BYTES, SHAPE_TRANSPORT, SHAPE_BALANCE };

enum stage stage_of(uint32_t at);            /* WEIR_AT_* to stage; STAGE_NONE when unknown */
uint32_t stage_at(enum stage stage);         /* the other way */
str stage_name(enum stage stage);            /* "RSP_HEAD" */
enum stage stage_by_name(str name);          /* without case, '-' as '_' */
enum stage_shape stage_shape(enum stage stage);

#endif
