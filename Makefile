# What a fresh machine needs: Go, gcc, make and git. libseccomp's headers, for
# a runc that can confine system calls, are installed with apt where they are
# missing and apt may.

GO   ?= go
BIN  := bin/demo-daemon
DEMO := cmd/demo-daemon/demo

# The race detector needs cgo; the binaries are static.
STATIC := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w'
# What the libraries leave out when asked, and nobody here has a use for:
# containerd's control of Intel's caches, and gRPC's pages of traces. Go keeps
# much of what a binary carries in memory.
LEAN   := no_rdt,grpcnotrace
LINT    = $(GO) tool -modfile=tools/lint/go.mod staticcheck

.DEFAULT_GOAL := build
.PHONY: build minimal kube demo test lint unit examples e2e clients race bench cross size golden fmt notice clean help

include tools/runc.mk
include tools/shim.mk
include tools/pause.mk
include tools/cni.mk
include tools/kubernetes.mk

build: assets $(DEMO)/guest.bin ## the complete binary, bin/demo-daemon
	@# go knows better than make what is up to date.
	$(STATIC) -buildvcs=auto -tags assets,demo,$(LEAN) -o $(BIN) ./cmd/demo-daemon

minimal: assets ## the binary without plugins, bin/demo-daemon-minimal
	$(STATIC) -buildvcs=auto -tags assets,minimal,$(LEAN) -o $(BIN)-minimal ./cmd/demo-daemon

kube: assets ## the container runtime of a Kubernetes node, bin/demo-daemon-kube
	$(STATIC) -buildvcs=auto -tags assets,kube,$(LEAN) -o $(BIN)-kube ./cmd/demo-daemon

$(DEMO)/guest.bin: $(wildcard $(DEMO)/guest/*.go $(DEMO)/facts/*.go)
	$(STATIC) -o $@ ./$(DEMO)/guest

demo: build ## show on a real container what plugins do, and prove it (as root)
	$(BIN) demo

test: lint unit examples e2e ## everything that a change must pass

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	test -z "$$unformatted" || { echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags minimal ./cmd/...
	$(GO) vet -tags kube ./cmd/...
	$(GO) vet -tags kubernetes ./e2e
	$(LINT) ./...

unit: ## unit tests with the race detector
	$(GO) test -race -timeout 10m $$($(GO) list ./... | grep -v '/e2e$$')
	$(GO) test -tags minimal -run Target ./cmd/demo-daemon/daemon
	$(GO) test -tags kube -run Target ./cmd/demo-daemon/daemon

examples: ## those that are Go modules of their own (as root with real containers)
	@set -e; for dir in $$(dirname $$(git ls-files 'examples/*/go.mod')); do \
		echo $$dir; cd $$dir; $(GO) vet ./...; $(GO) test ./...; cd - >/dev/null; done

e2e: assets ## tests with real containers (as root, else they are skipped)
	$(GO) test -timeout 40m ./e2e

clients: assets ## those of them with testcontainers, compose and dockerode
	$(GO) test -timeout 20m -run '^TestClient' ./e2e

# Hooks are the daemon's binary, too: with the detector in it each container
# takes seconds, which is more than a change has to wait for.
race: assets ## the same with the race detector in the daemon
	$(GO) test -race -timeout 60m ./e2e

bench: assets ## figures, as ratios in one run (as root)
	$(GO) test -run '^$$' -bench . -benchmem ./modules/registry/... ./modules/guard ./modules/telemetry/... ./plugins/... ./app
	$(GO) test -run '^$$' -bench . ./modules/cri/proxy
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./modules/cri ./e2e

# Daemons run on Linux. Where plugins are written may be another system.
cross: ## compile for each system on which a part is of use
	@set -e; export CGO_ENABLED=0; for arch in amd64 arm64; do echo linux/$$arch; \
		GOOS=linux GOARCH=$$arch $(GO) build ./cmd/... ./app/... ./modules/... ./plugins/... ./types/... ./networktypes/...; done; \
	for os in darwin windows; do echo $$os; \
		GOOS=$$os $(GO) build ./types ./networktypes ./plugins ./plugins/when ./plugins/nri ./examples/plugins/... ./modules/registry/... ./app; done

size: assets $(DEMO)/guest.bin ## how big the binary of each target is, and what it carries
	@for target in default minimal kube; do \
		$(STATIC) -tags assets,demo,$$target,$(LEAN) -o bin/size ./cmd/demo-daemon; \
		printf '%-8s %10d bytes  %5.1f MB\n' $$target $$(wc -c <bin/size) $$(wc -c <bin/size | awk '{print $$1/1e6}'); done; rm bin/size
	@echo 'of which each carries:'; for asset in $(ASSETS)/runc.zst $(ASSETS)/shim.zst $(ASSETS)/pause $(CNI_ASSETS)/cni.tar.zst; do \
		printf '%-8s %10d bytes  %5.1f MB\n' $$(basename $$asset | cut -d. -f1) $$(wc -c <$$asset) $$(wc -c <$$asset | awk '{print $$1/1e6}'); done

fmt: ## format the code
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

golden: ## write anew what each target is made of, to be looked at
	$(GO) test ./cmd/demo-daemon/daemon -run Reviewed -update
	$(GO) test -tags minimal ./cmd/demo-daemon/daemon -run Reviewed -update
	$(GO) test -tags kube ./cmd/demo-daemon/daemon -run Reviewed -update

notice: ## write NOTICE anew
	$(GO) test ./cmd/demo-daemon -run TestNotice -update

clean: ## remove what was built
	rm -rf bin $(addprefix $(ASSETS)/,pause runc.* shim.*) $(CNI_ASSETS)/cni.tar.* $(DEMO)/guest.bin

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '%-8s %s\n' "$$name" "$$what"; done
