/* SPDX-License-Identifier: BSD-2-Clause */
/* weir.h: the whole module SDK. */
#ifndef WEIR_H
#define WEIR_H

#include <weir/abi.h>
#include <weir/conf.h>
#include <weir/module.h>
#include <weir/api.h>
#include <weir/log.h>
#include <weir/conf_api.h>
#include <weir/http.h>
#include <weir/bytes.h>
#include <weir/conn_api.h>
#include <weir/event.h>
#include <weir/share.h>

#endif
