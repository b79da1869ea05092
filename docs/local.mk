# SPDX-License-Identifier: BSD-2-Clause
dist_man_MANS = docs/man/weir.8 docs/man/weir.conf.5
EXTRA_DIST += docs/conformance.md docs/control-api.md docs/map.md docs/metrics.md docs/performance.md docs/testing.md \
    docs/writing-a-module.md docs/design

# The reference of all directives, written by this build's program from its own tables and those of its modules.
docs/directives.md: weir modules/so/.stamp
	@$(MKDIR_P) docs
	$(AM_V_GEN){ echo 'modules_dir $(abs_top_builddir)/modules/so;'; for so in modules/so/*.so; do \
	    echo "module `basename $$so .so`;"; done; } > docs/directives.conf
	@./weir modules -v -c docs/directives.conf > $@.new && mv $@.new $@
	@rm -f docs/directives.conf

install-directives: docs/directives.md
	$(MKDIR_P) '$(DESTDIR)$(docdir)'
	$(INSTALL_DATA) docs/directives.md '$(DESTDIR)$(docdir)/directives.md'

uninstall-directives:
	rm -f '$(DESTDIR)$(docdir)/directives.md'

CLEANFILES += docs/directives.md docs/directives.md.new docs/directives.conf

.PHONY: install-directives uninstall-directives
