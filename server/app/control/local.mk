# SPDX-License-Identifier: BSD-2-Clause
# The control socket, from both ends.
server_libweir_a_SOURCES += \
	server/app/control/control.c server/app/control/control.h \
	server/app/control/control_answer.c server/app/control/control_answer.h \
	server/app/control/control_commands.c server/app/control/control_commands.h \
	server/app/control/control_client.c server/app/control/control_client.h \
	server/app/control/control_upstreams.c server/app/control/control_upstreams.h \
	server/app/control/control_explain.c server/app/control/control_explain.h \
	server/app/control/control_why.c server/app/control/control_why.h \
	server/app/control/json.c server/app/control/json.h
