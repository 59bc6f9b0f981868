# Portolan. `make run` and `make test` set up everything they need.
PREFIX ?= /usr/local
BUN := npx --no-install bun
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DEST = $(DESTDIR)$(PREFIX)
# Root is asked for only where a directory, or what there is of its path, is not the caller's to write to.
AS_OWNER = $(shell for at in bin share/man/man1 share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d; do \
  at="$(DEST)/$$at"; while [ ! -e "$$at" ]; do at=$$(dirname "$$at"); done; [ -w "$$at" ] || { echo "$(SUDO)"; break; }; done)

.PHONY: help setup build man run test check bench install uninstall clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

setup: ## install the Debian packages and npm packages that Portolan needs
	@scripts/setup.sh

build: setup ## one executable, dist/portolan
	@$(BUN) run scripts/build.ts

man: setup ## the man pages, dist/man, and the shells' completions, dist/completions
	@$(BUN) run scripts/man.ts

run: build ## run a real web server, published on port 8080; a user needs no root where ids are set up for him
	@node_modules/.bin/bun run scripts/run.ts

test: build ## every test; those that need root are run by root
	@scripts/setup.sh test
	@$(SUDO) node_modules/.bin/bun run scripts/test.ts

check: setup ## format, lint, types, generated tables
	@npx --no-install biome check .
	@npx --no-install tsc --noEmit
	@$(BUN) run scripts/cni-docs.ts --check

bench: build ## ratios to podman and to the Go plugins, in one run
	@scripts/setup.sh test
	@$(SUDO) node_modules/.bin/bun run bench/all.ts

install: build man ## copy the executable, man pages and completions to below $(PREFIX)
	@$(AS_OWNER) install -D -m 0755 -t $(DEST)/bin dist/portolan
	@$(AS_OWNER) install -D -m 0644 -t $(DEST)/share/man/man1 dist/man/man1/*.1
	@$(AS_OWNER) install -D -m 0644 -t $(DEST)/share/bash-completion/completions dist/completions/portolan
	@$(AS_OWNER) install -D -m 0644 -t $(DEST)/share/zsh/site-functions dist/completions/_portolan
	@$(AS_OWNER) install -D -m 0644 -t $(DEST)/share/fish/vendor_completions.d dist/completions/portolan.fish

uninstall: ## remove what install copied to below $(PREFIX)
	@$(AS_OWNER) rm -f $(DEST)/bin/portolan $(DEST)/share/man/man1/portolan.1 $(DEST)/share/man/man1/portolan-*.1 \
	  $(DEST)/share/bash-completion/completions/portolan $(DEST)/share/zsh/site-functions/_portolan \
	  $(DEST)/share/fish/vendor_completions.d/portolan.fish

clean: ## remove what was built
	@rm -rf dist
