# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/pipeline/api.c server/pipeline/api.h \
	server/pipeline/api_bytes.c \
	server/pipeline/api_conf.c \
	server/pipeline/api_conn.c \
	server/pipeline/api_http.c \
	server/pipeline/api_response.c \
	server/pipeline/body.c server/pipeline/body.h \
	server/pipeline/client_chain.c server/pipeline/client_chain.h \
	server/pipeline/choice.h \
	server/pipeline/clients.c server/pipeline/clients.h \
	server/pipeline/commands.c server/pipeline/commands.h \
	server/pipeline/core_conf.h \
	server/pipeline/crumb.c server/pipeline/crumb.h \
	server/pipeline/deciders.c server/pipeline/deciders.h \
	server/pipeline/dict.c server/pipeline/dict.h \
	server/pipeline/dry_run.c server/pipeline/dry_run.h \
	server/pipeline/error_page.c \
	server/pipeline/exposition.c server/pipeline/exposition.h \
	server/pipeline/fetch.c server/pipeline/fetch.h \
	server/pipeline/hook_answer.c server/pipeline/hook_answer.h \
	server/pipeline/http1.c server/pipeline/http1.h \
	server/pipeline/http1_state.c \
	server/pipeline/http1_write.c \
	server/pipeline/http2.c server/pipeline/http2.h \
	server/pipeline/http2_stream.c \
	server/pipeline/http2_write.c \
	server/pipeline/identify.c \
	server/pipeline/intake.c server/pipeline/intake.h \
	server/pipeline/metrics.c server/pipeline/metrics.h \
	server/pipeline/metrics_house.h server/pipeline/metrics_text.c \
	server/pipeline/module.c server/pipeline/module.h \
	server/pipeline/module_check.c server/pipeline/module_check.h \
	server/pipeline/notes.c server/pipeline/notes.h \
	server/pipeline/order.c server/pipeline/order.h \
	server/pipeline/overload.c server/pipeline/overload.h \
	server/pipeline/pipeline_worker.c \
	server/pipeline/plan.c server/pipeline/plan.h \
	server/pipeline/quarantine.c server/pipeline/quarantine.h \
	server/pipeline/request.c server/pipeline/request.h \
	server/pipeline/respond.c \
	server/pipeline/run.c server/pipeline/run.h \
	server/pipeline/services.c server/pipeline/services.h \
	server/pipeline/lone_proxy.c server/pipeline/lone_proxy.h \
	server/pipeline/proxy_preface.c server/pipeline/proxy_preface.h \
	server/pipeline/session.c server/pipeline/session.h \
	server/pipeline/sink.c server/pipeline/sink.h \
	server/pipeline/sink_file.c server/pipeline/sink_file.h \
	server/pipeline/snapshot.c server/pipeline/snapshot.h \
	server/pipeline/stage.c server/pipeline/stage.h \
	server/pipeline/suspension.c server/pipeline/suspension.h \
	server/pipeline/tally.c server/pipeline/tally.h \
	server/pipeline/timer.c server/pipeline/timer.h \
	server/pipeline/trace.c server/pipeline/trace.h \
	server/pipeline/variables.c server/pipeline/variables.h
