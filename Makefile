MODULES   := . ./cmd ./bench ./otel ./web/e2e
# A third party's module: not in go.work, so that it sees what a third party sees.
APART     := ./examples/nats
# All of vet's checks are done here, where everything is compiled anyway. No debugger asks
# for what -w leaves out.
TESTFLAGS := -race -vet=all -ldflags=-w -shuffle=on -p 3 -parallel 8 -timeout 10m
# The longest tests have a process of their own.
LONGEST   := ^TestConformance(Shared|Joined|Ring|Durable|Cluster|Shards)$$
FUZZTIME  ?= 30s
ROUNDS    ?= 3
# Where the benchmarks leave what they measured.
MEASURED  ?= bench/measured
GO        ?= go
STEP      := scripts/step.sh
# Linters have a module of their own, so that users of the library never see
# what they need; `go tool -n` builds one and prints where it is.
TOOL      := GOWORK=off $(GO) -C tools tool -n

.PHONY: help report soak test test-root test-modules test-again check tidy cross lint vuln bench bench-quick demo fuzz

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

test: ## install what the tests need, check, and run every test with the race detector
	@$(STEP) . scripts/deps.sh
	@$(MAKE) --no-print-directory check
	@$(STEP) . $(GO) build -race ./...
	@$(MAKE) --no-print-directory -j3 test-root test-modules test-again

# Most packages mostly wait, for processes, time-outs and disks: so these go side by side,
# those that take longest first.
test-root:
	@$(STEP) . $(GO) test $(TESTFLAGS) -skip '$(LONGEST)' ./redis ./quichub ./eventtarget/hub ./wsserver ./worker ./conformance/mutants ./...

test-modules:
	@for m in $(filter-out .,$(MODULES)); do $(STEP) $$m $(GO) test $(TESTFLAGS) ./... || exit 1; done
	@for m in $(APART); do $(STEP) $$m env GOWORK=off $(GO) test $(TESTFLAGS) ./... || exit 1; done

test-again:
	@$(STEP) . $(GO) test $(TESTFLAGS) -run '$(LONGEST)' ./eventtarget/hub ./redis
	@$(STEP) . $(GO) test $(TESTFLAGS) -tags eventtarget_portable ./wsserver

soak: ## what injects faults, ten times as long as in test, then all adapters for 20 minutes
	EVENTTARGET_SOAK=1 $(GO) test -race -count 1 -p 1 -timeout 20m -run 'Nemesis' -v ./...
	cd cmd && EVENTTARGET_SOAK=1 $(GO) test -count 1 -timeout 20m -run 'Nemesis' -v ./...
	EVENTTARGET_SOAK=1 $(GO) test -count 1 -timeout 40m -run 'AllAdapters' -v ./internal/soak

check: tidy ## formatting, tidy modules, and types on the systems that differ most from 64-bit Unix
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	@systems=$$($(TOOL) systems) && $(STEP) . $$systems linux/386,windows/amd64 $(MODULES:%=%/...)

tidy: ## go.mod and go.sum of every module are as go mod tidy leaves them
	@for m in $(MODULES) $(APART); do $(STEP) $$m env GOWORK=off $(GO) mod tidy -diff || exit 1; done

cross: ## build and vet for every system that we promise
	@$(STEP) . scripts/cross.sh $(MODULES)

lint: ## golangci-lint, with the reasons in .golangci.yml
	@lint=$$($(TOOL) golangci-lint) && status=0 && for m in $(MODULES); do \
		$(STEP) $$m $$lint run --config $(CURDIR)/.golangci.yml ./... || status=1; done; for m in $(APART); do \
		$(STEP) $$m env GOWORK=off $$lint run --config $(CURDIR)/.golangci.yml ./... || status=1; done; exit $$status

vuln: ## known vulnerabilities in what we call
	@vuln=$$($(TOOL) govulncheck) && for m in $(MODULES); do $(STEP) $$m $$vuln ./... || exit 1; done && \
		for m in $(APART); do $(STEP) $$m env GOWORK=off $$vuln ./... || exit 1; done

bench: ## every benchmark beside its floor or its rival, in ROUNDS, or PARTS of them (see docs/benchmarks.md)
	@scripts/bench.sh $(MEASURED) $(ROUNDS) $(PARTS)
	@cd bench && $(GO) run ./report ../docs $(abspath $(MEASURED))

bench-quick: ## every benchmark once, to see that it runs
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...
	cd bench && $(GO) test -short -run '^$$' -bench . -benchtime 1x ./...

report: ## the tables of docs/benchmarks.md and docs/plots, from docs/data
	cd bench && $(GO) run ./report ../docs

demo: ## a hub, spokes and what they hear
	$(GO) run ./cmd/eventtarget demo

fuzz: ## every fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME) $(MODULES)
