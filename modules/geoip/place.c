/* SPDX-License-Identifier: BSD-2-Clause */
#include "place.h"

#include "countries.h"

#include <arpa/inet.h>
#include <string.h>

enum { PATH_MOST = 4, CITY_MOST = 256 };

typedef const char *const path[PATH_MOST];

static path country_paths[] = { { "country", "iso_code" }, { "country_code" }, { "country" },
                                { "registered_country", "iso_code" } };
static path continent_paths[] = { { "continent", "code" }, { "continent_code" }, { "continent" } };
static path city_paths[] = { { "city", "names", "en" }, { "city" }, { "city_name" } };
static path asn_paths[] = { { "autonomous_system_number" }, { "asn" }, { "as_number" },
                            { "traits", "autonomous_system_number" } };
static path organisation_paths[] = { { "autonomous_system_organization" }, { "as_organization" }, { "as_name" },
                                     { "traits", "autonomous_system_organization" } };

#define FIND(Entry, Paths, Data) find(Entry, Paths, sizeof(Paths) / sizeof((Paths)[0]), Data)

/* The value at the first path that leads to text or a number. */
static bool find(MMDB_entry_s *entry, path *paths, size_t count, MMDB_entry_data_s *data)
{
    for (size_t i = 0; i < count; i++)
        if (MMDB_aget_value(entry, data, paths[i]) == MMDB_SUCCESS && data->has_data &&
            (data->type == MMDB_DATA_TYPE_UTF8_STRING || data->type == MMDB_DATA_TYPE_UINT32 ||
             data->type == MMDB_DATA_TYPE_UINT16 || data->type == MMDB_DATA_TYPE_INT32))
            return true;
    return false;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Exactly two letters: some makers write a country's name where others have its code. */
static void take_code(char to[2], const MMDB_entry_data_s *data)
{
    if (data->type != MMDB_DATA_TYPE_UTF8_STRING || data->data_size != 2)
        return;
    char code[2] = { upper(data->utf8_string[0]), upper(data->utf8_string[1]) };
    if (is_letter(code[0]) && is_letter(code[1]))
        memcpy(to, code, 2);
}

static void take_text(weir_str *to, const MMDB_entry_data_s *data)
{
    if (data->type == MMDB_DATA_TYPE_UTF8_STRING && data->data_size > 0)
        *to = (weir_str){ data->utf8_string, data->data_size < CITY_MOST ? data->data_size : CITY_MOST };
}

/* A number, or digits, with or without "AS". */
static uint32_t asn_of(const MMDB_entry_data_s *data)
{
    uint64_t number = 0;

    if (data->type == MMDB_DATA_TYPE_UINT32)
        return data->uint32;
    if (data->type == MMDB_DATA_TYPE_UINT16)
        return data->uint16;
    if (data->type == MMDB_DATA_TYPE_INT32)
        return data->int32 > 0 ? (uint32_t)data->int32 : 0;
    const char *at = data->utf8_string, *end = at + data->data_size;
    if (end - at > 2 && upper(at[0]) == 'A' && upper(at[1]) == 'S')
        at += 2;
    if (at == end)
        return 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9' || number > UINT32_MAX)
            return 0;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

bool place_look(struct place *place, const MMDB_s *mmdb, const uint8_t address[16])
{
    static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } in = { .any.sa_family = AF_UNSPEC };
    MMDB_entry_data_s data;
    int error;

    if (memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0) {
        in.v4.sin_family = AF_INET;
        memcpy(&in.v4.sin_addr, address + 12, 4);
    } else {
        in.v6.sin6_family = AF_INET6;
        memcpy(&in.v6.sin6_addr, address, 16);
    }
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, &in.any, &error);
    if (error != MMDB_SUCCESS)
        return error == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR;
    if (!found.found_entry)
        return true;
    if (!place->country[0] && FIND(&found.entry, country_paths, &data))
        take_code(place->country, &data);
    if (!place->continent[0] && FIND(&found.entry, continent_paths, &data))
        take_code(place->continent, &data);
    if (!place->city.n && FIND(&found.entry, city_paths, &data))
        take_text(&place->city, &data);
    if (!place->asn && FIND(&found.entry, asn_paths, &data))
        place->asn = asn_of(&data);
    if (!place->organisation.n && FIND(&found.entry, organisation_paths, &data))
        take_text(&place->organisation, &data);
    return true;
}

void place_finish(struct place *place)
{
    const char *continent = place->country[0] && !place->continent[0] ? country_continent(place->country) : NULL;

    if (continent)
        memcpy(place->continent, continent, 2);
}

struct network {
    uint8_t address[16];
    unsigned bits;
};

#define V4(A, B, C, D) { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (A), (B), (C), (D) }

/* RFC 6890 and its registries: what no database can place. */
static const struct network local_networks[] = {
    { V4(0, 0, 0, 0), 96 + 8 },      { V4(10, 0, 0, 0), 96 + 8 },     { V4(100, 64, 0, 0), 96 + 10 },
    { V4(127, 0, 0, 0), 96 + 8 },    { V4(169, 254, 0, 0), 96 + 16 }, { V4(172, 16, 0, 0), 96 + 12 },
    { V4(192, 168, 0, 0), 96 + 16 }, { { 0 }, 127 },                  { { 0xfc }, 7 },
    { { 0xfe, 0x80 }, 10 },
};

bool address_is_local(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof(local_networks) / sizeof(local_networks[0]); i++) {
        const struct network *network = &local_networks[i];
        unsigned whole = network->bits / 8, rest = network->bits % 8;
        if (memcmp(network->address, address, whole) == 0 &&
            (!rest || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0))
            return true;
    }
    return false;
}
