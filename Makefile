# Portolan. `make run` and `make test` set up everything they need.
PREFIX ?= /usr/local
BUN := npx --no-install bun
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help setup build man run test check bench install clean

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
	@$(SUDO) install -D -m 0755 dist/portolan $(DESTDIR)$(PREFIX)/bin/portolan
	@$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 dist/man/man1/*.1
	@$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions dist/completions/portolan
	@$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/zsh/site-functions dist/completions/_portolan
	@$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d dist/completions/portolan.fish

clean: ## remove what was built
	@rm -rf dist
