/* SPDX-License-Identifier: BSD-2-Clause */
/* countries.h: the country codes there are, and the continent of each, for databases that know only the country.
 *
 * Source:  ISO 3166-1 alpha-2 and XK, as databases use it; continents as GeoNames counts them. */
#ifndef GEOIP_COUNTRIES_H
#define GEOIP_COUNTRIES_H

#include <weir/abi.h>

bool country_exists(const char code[2]);               /* upper case */
bool continent_exists(const char code[2]);             /* AF AN AS EU NA OC SA */
const char *country_continent(const char country[2]);  /* two letters, or NULL: no such country */

#endif
