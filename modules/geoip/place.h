/* SPDX-License-Identifier: BSD-2-Clause */
/* place.h: what databases say about one address, whichever layout they have.
 *
 * Shape:   MaxMind's own nested maps (country.iso_code) and the flat ones of other makers (country_code). Several
 *          databases are asked in order; the first that knows a part gives it.
 * Owner:   city and organisation are slices of the reading they were found in: copy them before it can change. */
#ifndef GEOIP_PLACE_H
#define GEOIP_PLACE_H

#include <maxminddb.h>
#include <weir/abi.h>

struct place {
    char country[2], continent[2]; /* upper case; zero: not known */
    uint32_t asn;                  /* 0: not known */
    weir_str city, organisation;   /* empty: not known */
};

/* Fills what is still empty. The address is v4-mapped for IPv4. False: the database is broken at that place. */
bool place_look(struct place *place, const MMDB_s *mmdb, const uint8_t address[16]);
void place_finish(struct place *place); /* the continent from the country where no database says it */

/* Loopback, private, link-local, shared (RFC 6598) and unspecified addresses: nobody's country. */
bool address_is_local(const uint8_t address[16]);

#endif
