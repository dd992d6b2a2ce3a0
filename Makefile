# Idlewild's commands. `make demo` and `make test` do all set-up themselves.

CARGO ?= cargo
TARGET := target/wasm32-wasip2/guest
BUNDLES := target/bundles
MISFITS := $(basename $(notdir $(wildcard tests/guests/examples/*.rs)))
IDLEWILD := target/debug/idlewild

# What the demo states of the machine: everything, so that it runs on one that is hot, locked or low on battery, too.
AT_EASE := network external-power idle charged full-power cool roomy unlocked-once unlocked

# The demo's folder of photographs: your own with `make demo GALLERY=~/Pictures`, else samples made here.
DEMO := target/demo
GALLERY ?= $(DEMO)/photos

.PHONY: demo test bench fmt lint check-tools toolchain bundles samples host clean-demo

demo: host bundles clean-demo
	@if [ "$(GALLERY)" = "$(DEMO)/photos" ]; then \
	  $(CARGO) build --quiet --workspace --bin gallery-samples && target/debug/gallery-samples $(DEMO)/photos; fi
	@mkdir -p $(DEMO)/album && ln -sfn "$$(realpath "$(GALLERY)")" $(DEMO)/album/photos
	@echo "Counting the images in $$(realpath "$(GALLERY)") and making an album of them."
	@echo "So that it runs at once, the demo states by hand that the machine is idle, online, on power, and all else that is good."
	@$(IDLEWILD) serve $(BUNDLES)/gallery --state $(DEMO)/state \
	  --grant gallery="$(GALLERY)" --grant album=$(DEMO)/album \
	  $(addprefix --assume ,$(AT_EASE)) --exit-when-done
	@echo
	@echo "What happened:"
	@$(IDLEWILD) tasks --state $(DEMO)/state
	@echo
	@echo "Why the next count does not run yet:"
	@$(IDLEWILD) why com.example.gallery.image-count --state $(DEMO)/state
	@echo
	@echo "The album: $$(realpath $(DEMO)/album/index.html)"

# The stories told from outside run the binary itself, which cargo builds for no package but its own.
test: fmt lint bundles host
	$(CARGO) test --workspace --quiet --no-fail-fast

fmt:
	$(CARGO) fmt --all --check

lint: check-tools
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

# A backtrace that nobody reads would be taken with every task: wasmtime makes an error to end what a call leaves behind.
bench: bundles
	RUST_BACKTRACE=0 $(CARGO) bench --workspace --bench engine --bench tasks --bench scheduler

host: check-tools
	$(CARGO) build --quiet --workspace --bin idlewild

# Guests are built once by one command, and each is laid beside its manifest as the folder that `idlewild install` takes.
bundles: toolchain
	$(CARGO) build --quiet --profile guest --target wasm32-wasip2 \
	  --package hello --package gallery --package idlewild-test-guests --lib --examples
	@for bundle in hello gallery; do \
	  mkdir -p $(BUNDLES)/$$bundle && cp examples/$$bundle/idlewild.toml $(TARGET)/$$bundle.wasm $(BUNDLES)/$$bundle/ || exit 1; \
	done
	@mkdir -p $(BUNDLES)/behaviours && cp tests/guests/idlewild.toml $(TARGET)/behaviours.wasm $(BUNDLES)/behaviours/
	@mkdir -p $(BUNDLES)/async-behaviours && cp tests/guests/idlewild.toml $(BUNDLES)/async-behaviours/ && \
	  cp $(TARGET)/examples/async_behaviours.wasm $(BUNDLES)/async-behaviours/behaviours.wasm
	@for misfit in $(MISFITS); do \
	  mkdir -p $(BUNDLES)/misfits/$$misfit && cp tests/guests/misfits/idlewild.toml $(BUNDLES)/misfits/$$misfit/ && \
	  cp $(TARGET)/examples/$$misfit.wasm $(BUNDLES)/misfits/$$misfit/misfit.wasm || exit 1; \
	done

toolchain: check-tools
	@rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

check-tools:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v rustup >/dev/null || { echo "rustup is missing: install it from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing (SQLite is built with it): apt-get install gcc libc6-dev" >&2; exit 1; }

clean-demo:
	@rm -rf $(DEMO)
