/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c: the program's entry. */

#include <stdio.h>

int main(void)
{
    return printf("weir %s\n", WEIR_VERSION) < 0;
}
