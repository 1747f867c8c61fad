MODULES  := . ./cmd ./bench
FUZZTIME ?= 30s
GO       ?= go
# Tools have a module of their own, so that users of the library never see them.
LINT     := $(GO) run -modfile=tools/go.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: help test check cross lint bench demo fuzz

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

test: ## install what the tests need, check, and run every test with the race detector
	scripts/deps.sh
	$(MAKE) --no-print-directory check cross
	for m in $(MODULES); do (cd $$m && $(GO) test -race -shuffle=on -timeout 8m ./...) || exit 1; done
	$(GO) test -race -shuffle=on -timeout 8m -tags eventtarget_portable ./wsserver

check: ## formatting, vet, and tidy modules
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	for m in $(MODULES); do (cd $$m && $(GO) vet ./... && GOWORK=off $(GO) mod tidy -diff) || exit 1; done

cross: ## vet for the other systems that we build for
	scripts/cross.sh $(MODULES)

lint: ## golangci-lint, with the reasons in .golangci.yml
	for m in $(MODULES); do (cd $$m && $(subst tools/,$(CURDIR)/tools/,$(LINT)) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

bench: ## every benchmark beside its floor or its rival; compare the ratios
	$(GO) test -run '^$$' -bench . -benchtime 500ms ./eventtarget ./internal/wire
	cd bench && $(GO) test -run '^$$' -bench . -benchtime 1x -count 3 ./...

demo: ## a hub, spokes and what they hear
	$(GO) run ./cmd/eventtarget demo

fuzz: ## every fuzz target for FUZZTIME
	$(GO) test -run '^$$' -fuzz FuzzDecode -fuzztime $(FUZZTIME) ./internal/wire
	$(GO) test -run '^$$' -fuzz FuzzRoundTrip -fuzztime $(FUZZTIME) ./internal/wire
