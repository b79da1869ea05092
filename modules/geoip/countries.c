/* SPDX-License-Identifier: BSD-2-Clause */
#include "countries.h"

#include <string.h>

static const struct {
    const char *code;
    const char *countries; /* two letters each, without a gap */
} continents[] = {
    { "AF", "AOBFBIBJBWCDCFCGCICMCVDJDZEGEHERETGAGHGMGNGQGWKEKMLRLSLYMAMGMLMRMUMWMZNANENGRERWSCSDSHSLSNSOSSSTSZTD"
            "TGTNTZUGYTZAZMZW" },
    { "AN", "AQBVGSHMTF" },
    { "AS", "AEAFAMAZBDBHBNBTCCCNGEHKIDILINIOIQIRJOJPKGKHKPKRKWKZLALBLKMMMNMOMVMYNPOMPHPKPSQASASGSYTHTJTMTRTWUZVN"
            "YE" },
    { "EU", "ADALATAXBABEBGBYCHCYCZDEDKEEESFIFOFRGBGGGIGRHRHUIEIMISITJELILTLULVMCMDMEMKMTNLNOPLPTRORSRUSESISJSKSM"
            "UAVAXK" },
    { "NA", "AGAIAWBBBLBMBQBSBZCACRCUCWDMDOGDGLGPGTHNHTJMKNKYLCMFMQMSMXNIPAPMPRSVSXTCTTUSVCVGVI" },
    { "OC", "ASAUCKCXFJFMGUKIMHMPNCNFNRNUNZPFPGPNPWSBTKTLTOTVUMVUWFWS" },
    { "SA", "ARBOBRCLCOECFKGFGYPEPYSRUYVE" },
};

enum { CONTINENTS = sizeof(continents) / sizeof(continents[0]) };

const char *country_continent(const char country[2])
{
    for (size_t i = 0; i < CONTINENTS; i++)
        for (const char *at = continents[i].countries; *at; at += 2)
            if (at[0] == country[0] && at[1] == country[1])
                return continents[i].code;
    return NULL;
}

bool country_exists(const char code[2])
{
    return country_continent(code) != NULL;
}

bool continent_exists(const char code[2])
{
    for (size_t i = 0; i < CONTINENTS; i++)
        if (memcmp(continents[i].code, code, 2) == 0)
            return true;
    return false;
}
