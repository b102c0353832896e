# make demo   installs what is missing, builds, and shows where a slow request's time went
# make test   the same set-up, then every test; those that use BPF run as root
# make test-kernels   the tracer's tests on Debian's kernels 6.1 and 6.12 in emulated machines, and on this one
# make compose-test   the stack of compose.yaml in containers, traced from the host, and scored
# make images   the images of compose.yaml, on BASE (debian:bookworm-slim)
# make lint   formatting, clippy, and the dependencies' licences and sources
# make verify   every experiment that injects something: what was found against what was injected
# make bench-overhead   what tracing costs, against its targets, in some 25 minutes on an otherwise idle host
# make bench-analyze   how fast recordings are assembled and analyzed, and in how much memory, in 5 minutes
#
# Set-up stops with one line, and the status 3 that make reports, where the host cannot do it.

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR

.PHONY: help demo test test-kernels compose-test images binaries lint verify bench-overhead bench-analyze setup

help:
	@sed -n 's/^# make/make/p' Makefile

demo: setup
	cargo build --release --locked
	@setup/demo "$(CARGO_TARGET_DIR)/release/tierscope"

# Cargo builds as whoever runs make; only the tests themselves become root.
test: setup
	@setup/install tests
	cargo test --release --workspace --locked --no-fail-fast \
		--config 'target."cfg(all())".runner = ["$(CURDIR)/setup/as-root"]'

test-kernels: setup
	@setup/install kernels
	tests/kernels/run "$(CARGO_TARGET_DIR)/kernels"

# Without an engine that can run here it says so and exits 3.
compose-test: binaries
	@setup/install containers
	tests/containers/run "$(CARGO_TARGET_DIR)/containers"

images: binaries
	docker-compose --profile tracer build

# Where compose.yaml's images take them from.
binaries: setup
	cargo build --release --locked
	install -D -t target/containers $(addprefix $(CARGO_TARGET_DIR)/release/,tierscope tierscope-lab-app)

# Clippy in release, so that build scripts and macros are compiled once for it and the tests.
lint:
	cargo fmt --all --check
	@setup/cargo-deny
	cargo deny --locked check bans licenses sources
	@setup/install
	cargo clippy --release --workspace --all-targets --locked -- -D warnings

# Exits 1 where a promise is broken; the runs' folders are in runs/.
verify: setup
	cargo build --release --locked
	@setup/as-root "$(CARGO_TARGET_DIR)/release/tierscope" verify $(ARGS)

# Exits 1 where a target is missed; figures go to bench-overhead/.
bench-overhead: setup
	cargo build --release --workspace --bins --locked
	@setup/as-root "$(CARGO_TARGET_DIR)/release/tierscope-bench" $(ARGS)

# Exits 1 where a target is missed. ARGS="--recording FILE" takes a recording of your own.
bench-analyze: setup
	cargo build --release --workspace --bins --locked
	@setup/as-root "$(CARGO_TARGET_DIR)/release/tierscope-bench-analyze" $(ARGS)

setup:
	@setup/check
	@setup/install
	@setup/mounts
