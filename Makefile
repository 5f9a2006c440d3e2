# fluxhls: `make demo` shows it, `make test` proves it.
#
# Only Rust (https://rustup.rs) has to be there; what else is missing is installed: system packages by apt, and a
# nats-server and Node packages inside this folder. Running a target again installs nothing twice.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.tools/venv/bin:$(PATH)

# Where known vulnerabilities of Rust crates are listed.
ADVISORIES := https://github.com/RustSec/advisory-db

CLIP := .tools/demo/moving-picture.mp4

.PHONY: help
help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: demo
demo: runtime $(CLIP) tests/browser/node_modules/.package-lock.json ## Transcode a clip from event to player, and save a picture of it playing
	@scripts/install chromium
	scripts/demo $(CLIP)

.PHONY: dev
dev: runtime $(CLIP) ## The same, and stay open: drop your own videos on the page
	cargo run -- dev $(CLIP)

.PHONY: test
test: tools lint helm ## Everything that can fail: lint and all tests
	scripts/run-tests --workspace --features fluxhls/otel

.PHONY: unit
unit: unit-tools ## The tests beside the code of all crates
	scripts/run-tests --workspace --features fluxhls/otel --lib

.PHONY: integration
integration: tools ## The other tests: scenarios against real services
	scripts/run-tests --workspace --features fluxhls/otel --test '*'

.PHONY: one
one: tools ## The tests whose name holds T: make one T=canceling
	scripts/run-tests --workspace --features fluxhls/otel -E 'test($(T))'

.PHONY: helm
helm: ## The chart: lint, render and validate it with the real Helm engine; compose.yaml as text
	@scripts/install helm
	.tools/venv/bin/python -m unittest discover --start-directory tests/helm

.PHONY: image
image: tests/browser/node_modules/.package-lock.json ## Build the image, and run it, the chart's pods and compose.yaml with Podman (half an hour; root)
	@scripts/install ffmpeg nats-server chromium node helm podman
	tests/image/run

.PHONY: pictures
pictures: programs ## Draw the dashboards' panels from a real run, into docs/images
	@scripts/install matplotlib
	PICTURES=1 cargo test --features fluxhls/otel --test integration prometheus::every_panel -- --nocapture

.PHONY: players
players: tools ## Every player there is: also Firefox, mpv, VLC and GStreamer
	@scripts/install firefox mpv vlc gstreamer
	npm --prefix tests/browser run selftest
	PLAYERS=all cargo test --features fluxhls/otel --test integration -- --nocapture players:: growing::every_player

.PHONY: fuzz
fuzz: programs ## Damaged files by the thousand on the way of every upload: MUTATIONS=2000 MUTATION_SEED=1
	MUTATIONS=$(or $(MUTATIONS),2000) MUTATION_SEED=$(or $(MUTATION_SEED),1) cargo test --test integration \
	  mutations::damaged_files_end_in_time -- --nocapture

.PHONY: lint
lint: cargo ## Format, clippy, documentation and dependencies, without a warning
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features fluxhls/otel -- -D warnings
	@# These two build what is released, without what tests add to the features of crates.
	cargo clippy --package fluxhls --no-default-features -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace --features fluxhls/otel
	@scripts/install cargo-deny
	cargo-deny check bans licenses sources
	@if timeout 20 git ls-remote --quiet $(ADVISORIES) HEAD >/dev/null 2>&1; then $(MAKE) --no-print-directory audit; \
	else echo 'NOT CHECKED: known vulnerabilities of dependencies, since $(ADVISORIES) cannot be reached. Run `make audit` where it can.'; fi

.PHONY: audit
audit: cargo ## Ask for known vulnerabilities of dependencies (needs github.com)
	@scripts/install cargo-deny
	cargo-deny check advisories

.PHONY: chaos
chaos: programs ## Break everything while jobs run, then check every promise (LONG=1: half an hour, writes docs/chaos.md)
	FLUXHLS_CHAOS_SEED=$(or $(SEED),1) \
	FLUXHLS_CHAOS_JOBS=$(or $(JOBS),$(if $(LONG),200,15)) \
	FLUXHLS_CHAOS_KILLS=$(or $(KILLS),$(if $(LONG),110,8)) \
	FLUXHLS_CHAOS_PAGE=$(if $(LONG),1,0) \
	cargo test --test integration chaos::whatever -- --nocapture

.PHONY: nightly
nightly: tools ## What takes too long for every change: thousands of simulations, chaos, damaged files, the benches' smoke
	SIMULATIONS=$(or $(SIMULATIONS),5000) scripts/run-tests --features fluxhls/otel --test integration -E 'test(/^simulation::/)'
	$(MAKE) chaos fuzz
	ONLY=control $(MAKE) bench

.PHONY: bench
bench: programs tests/clips/node_modules/.package-lock.json ## Measure speed, as ratios to what ran beside it, into docs/benchmarks.md (an hour and a half; ONLY=whole,fleet)
	@scripts/install time shaka
	cargo bench --bench speed

.PHONY: bench-quality
bench-quality: cargo tests/clips/node_modules/.package-lock.json ## Measure pictures by VMAF against the old ladder (15 minutes)
	@scripts/install ffmpeg vmaf
	cargo bench --profile dev --bench quality

.PHONY: tools
tools: programs tests/browser/node_modules/.package-lock.json tests/node/node_modules/.package-lock.json \
       examples/node/node_modules/.package-lock.json tests/clips/node_modules/.package-lock.json ## Install what the tests need
	@scripts/install cargo-nextest

.PHONY: unit-tools
unit-tools: cargo
	@scripts/install ffmpeg nats-server postgresql cargo-nextest

.PHONY: programs
programs: cargo
	@scripts/install ffmpeg nats-server postgresql pgbouncer chromium node prometheus

.PHONY: clean
clean: ## Remove what was built and what was installed in this folder
	cargo clean
	rm -rf .tools .fluxhls tests/clips/node_modules tests/browser/node_modules tests/node/node_modules examples/node/node_modules

# What `fluxhls dev` itself runs on.
.PHONY: runtime
runtime: cargo
	@scripts/install ffmpeg nats-server

.PHONY: node
node:
	@scripts/install node

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { echo 'Rust is missing. Install it from https://rustup.rs, open a new shell, and run make again.' >&2; exit 1; }

# npm leaves a copy of the lock it installed from: it is the stamp.
tests/browser/node_modules/.package-lock.json tests/node/node_modules/.package-lock.json examples/node/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json | node
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

tests/clips/node_modules/.package-lock.json: tests/clips/package-lock.json | node
	cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Half a minute of moving picture and tone, made here: long enough for several chunks.
$(CLIP):
	@mkdir -p $(@D)
	ffmpeg -nostdin -hide_banner -loglevel error -y \
	  -f lavfi -i testsrc2=size=1280x720:rate=30:duration=30 \
	  -f lavfi -i "aevalsrc='0.2*sin(2*PI*(220+20*t)*t)|0.2*sin(2*PI*(330+10*t)*t)':s=48000:d=30" \
	  -c:v libx264 -preset veryfast -crf 20 -g 60 -pix_fmt yuv420p -c:a aac -b:a 128k -movflags +faststart \
	  $@.part.mp4
	@mv $@.part.mp4 $@
