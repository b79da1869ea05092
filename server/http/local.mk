# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES += \
	server/http/authority.c \
	server/http/chars.c server/http/chars.h \
	server/http/date.c server/http/date.h \
	server/http/field.c server/http/field.h \
	server/http/field_names.c \
	server/http/h1.h \
	server/http/h1_body.c \
	server/http/h1_fields.c server/http/h1_fields.h \
	server/http/h1_request.c \
	server/http/h1_response.c \
	server/http/h1_scan.c \
	server/http/h1_write.c \
	server/http/h2.h \
	server/http/h2_codec.c \
	server/http/h2_guard.c server/http/h2_guard.h \
	server/http/h2_head.c server/http/h2_head.h \
	server/http/h2_memory.c \
	server/http/h2_receive.c \
	server/http/h2_send.c \
	server/http/h2_session.h \
	server/http/media.c server/http/media.h \
	server/http/media_type.c server/http/media_type.h \
	server/http/precondition.c server/http/precondition.h \
	server/http/range.c server/http/range.h \
	server/http/status.c \
	server/http/trailer.c server/http/trailer.h \
	server/http/uri.c server/http/uri.h server/http/uri_errors.h \
	server/http/websocket.c server/http/websocket.h
