/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c: the program's entry. */
#include "app/cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
