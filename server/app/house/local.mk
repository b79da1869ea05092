# SPDX-License-Identifier: BSD-2-Clause
# What a configuration means: modules, settings, sites, routes, and the parts that answer by themselves.
server_libweir_a_SOURCES += \
	server/app/house/answer_words.c server/app/house/answer_words.h \
	server/app/house/bindhost.c \
	server/app/house/builtin.c server/app/house/builtin.h \
	server/app/house/configuration.c server/app/house/configuration.h \
	server/app/house/configuration_print.c \
	server/app/house/core_directives.c \
	server/app/house/explain.c server/app/house/explain.h \
	server/app/house/explain_write.c \
	server/app/house/file_answer.c server/app/house/file_answer.h \
	server/app/house/house.c \
	server/app/house/listen_balancers.c server/app/house/listen_balancers.h \
	server/app/house/listens.c server/app/house/listens.h \
	server/app/house/loader.c server/app/house/loader.h \
	server/app/house/loading.h \
	server/app/house/maintenance.c \
	server/app/house/metrics_page.c server/app/house/metrics_page.h \
	server/app/house/module_build.c server/app/house/module_build.h \
	server/app/house/open_beneath.c server/app/house/open_beneath.h \
	server/app/house/regex.c server/app/house/regex.h \
	server/app/house/routes.c server/app/house/routes.h \
	server/app/house/serve_files.c \
	server/app/house/serve_health.c \
	server/app/house/serve_metrics.c \
	server/app/house/serve_redirect.c \
	server/app/house/serve_respond.c \
	server/app/house/settings.c server/app/house/settings.h \
	server/app/house/sites.c server/app/house/sites.h \
	server/app/house/why.c server/app/house/why.h \
	server/app/house/why_write.c
