/* SPDX-License-Identifier: BSD-2-Clause */
/* precondition.h: conditional requests: what If-Match and its like make of a request for one representation.
 *
 * Note:    to be asked only where the answer would be a success without them (RFC 9110 13.2.1).
 * Source:  RFC 9110 13.1 (the fields), 13.2.2 (their precedence), 8.8.3 (comparing tags). */
#ifndef HTTP_PRECONDITION_H
#define HTTP_PRECONDITION_H

#include "http/field.h"

struct validators {
    str etag;              /* with its quotes, W/ before a weak one */
    uint64_t modified;     /* seconds since 1970 */
    bool modified_is_strong; /* it cannot have changed again within that second (8.8.2.2) */
};

enum precondition { PRECONDITION_HOLDS, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED };

/* For GET and HEAD, of a representation that exists. now: seconds since 1970. */
enum precondition precondition_judge(const struct fields *request, const struct validators *validators, uint64_t now);

/* Whether If-Range, if there is one, lets Range be looked at. */
bool precondition_allows_range(const struct fields *request, const struct validators *validators, uint64_t now);

#endif
