# SPDX-License-Identifier: BSD-2-Clause
# The shipped configuration. A file that exists is never overwritten; uninstall removes only what was not changed.

SHIPPED_CONF = trusted/cloudflare.conf
if MODULE_ACCESS
SHIPPED_CONF += conf.d/access.conf
endif
if MODULE_ACCESS_LOG
SHIPPED_CONF += conf.d/access-log.conf
endif
if MODULE_AUTH
SHIPPED_CONF += conf.d/auth.conf
endif
if MODULE_GEOIP
SHIPPED_CONF += conf.d/geoip.conf
endif
if MODULE_GZIP
SHIPPED_CONF += conf.d/gzip.conf
endif
if MODULE_HEADERS
SHIPPED_CONF += conf.d/headers.conf
endif
if MODULE_RATELIMIT
SHIPPED_CONF += conf.d/ratelimit.conf
endif
if MODULE_TLS
SHIPPED_CONF += conf.d/tls.conf conf.d/example.conf
endif

confdir = $(sysconfdir)/weir
logdir = $(localstatedir)/log/weir
statedir = $(localstatedir)/lib/weir
in_place = sed 's|/var/log/weir|$(logdir)|; s|/etc/weir|$(confdir)|'

install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(confdir)/conf.d' '$(DESTDIR)$(confdir)/trusted' \
	    '$(DESTDIR)$(logdir)' '$(DESTDIR)$(statedir)'
	@for f in $(SHIPPED_CONF) weir.conf; do \
	    from='$(srcdir)'/conf.d/$${f#conf.d/}; to='$(DESTDIR)$(confdir)'/$$f; \
	    if test -e "$$to"; then echo "keeping $$to"; else \
	        $(in_place) "$$from" > "$$to.new" && chmod 644 "$$to.new" && mv "$$to.new" "$$to" || exit 1; \
	    fi; \
	done

uninstall-local:
	@for f in $(SHIPPED_CONF) weir.conf; do \
	    from='$(srcdir)'/conf.d/$${f#conf.d/}; to='$(DESTDIR)$(confdir)'/$$f; \
	    if $(in_place) "$$from" | cmp -s - "$$to"; then rm -f "$$to"; fi; \
	done

EXTRA_DIST += conf.d/weir.conf conf.d/access.conf conf.d/access-log.conf conf.d/auth.conf conf.d/geoip.conf \
	conf.d/gzip.conf conf.d/headers.conf conf.d/ratelimit.conf conf.d/tls.conf conf.d/example.conf \
	conf.d/trusted/cloudflare.conf
