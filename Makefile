# SPDX-License-Identifier: BSD-3-Clause
# A thin wrapper over meson. `make help` lists the targets.
BUILD ?= build
SETUP ?=
SEEDS ?= 500
JOBS ?= $(shell nproc)
COUNT ?= $(if $(filter mutants,$(MAKECMDGOALS)),300,10000)
MINUTES ?= 0
ONLY ?=
MB ?= 1000
RUNS ?= 10
CHANGES ?= 100
SEED ?= 1
ROWS ?= 20
SECONDS ?= 60
BOUND ?= 3
REPEATS ?= 3
PARTS ?=
REFRESH ?=

.PHONY: help run test build lint sim sim-plots spray bulk workers linux mutants asan tsan install rfc bench interleave spin litmus torture soak fuzz deb clean

help:
	@echo "make run         install what is missing, build, start convd on a TAP port, prove it, say what to try"
	@echo "make test        install what is missing, build, run every suite"
	@echo "make build       build into $(BUILD)/"
	@echo "make lint        gcc and clang with -Werror, clang-format, clang-tidy, cppcheck"
	@echo "make sim         a hostile mix between two stacks in virtual time, with coverage (SEEDS=$(SEEDS))"
	@echo "make sim-plots   throughput, retransmissions and fairness: tables, CSV, PNG in $(BUILD)/"
	@echo "make spray       real clients against 4 workers with spread packet (COUNT=$(COUNT))"
	@echo "make bulk        much data over one connection: echo, chargen, discard (MB=$(MB))"
	@echo "make workers     workers come and go, in each spread, under 500 conversations and a stream (CHANGES=$(CHANGES) SEED=$(SEED))"
	@echo "make linux       beside the kernel's stack, behind the same bad links: echo and bulk (RUNS=$(RUNS))"
	@echo "make rfc         docs/rfc.md: does all that it names run, and would it notice (ROWS=$(ROWS) SEED=$(SEED))"
	@echo "make mutants     change the code of lib/tcp and lib/ip in COUNT places, and see who notices (SEED, ONLY, MINUTES)"
	@echo "make torture     real threads, pauses everywhere, slots used again at once (SECONDS=$(SECONDS))"
	@echo "make tsan        the torture under ThreadSanitizer (clang; SECONDS=$(SECONDS))"
	@echo "make interleave  schedules of threads: all hazards to BOUND=$(BOUND) preemptions, controls, each protection taken out"
	@echo "make litmus      each idiom of atomics under weak memory, with the orders of the source; each weakened order is noticed"
	@echo "make spin        models of a node's life: every state of them visited; each protection taken out is noticed"
	@echo "make asan        the suites built with AddressSanitizer and UBSan"
	@echo "make install     install convd, convctl and man pages (DESTDIR is honoured)"
	@echo "make bench       beside testpmd, nginx and Linux on this machine, a release build of its own (PARTS=\"code udp web ...\" REPEATS=$(REPEATS))"
	@echo "not built yet:   soak fuzz deb"

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(SETUP) >/dev/null

build:
	@scripts/deps.sh build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD)

run:
	@scripts/deps.sh build run
	@$(MAKE) --no-print-directory build
	@CONVD_BUILD=$(abspath $(BUILD)) scripts/run.sh

test:
	@scripts/deps.sh build test
	@$(MAKE) --no-print-directory build
	@scripts/test.sh $(abspath $(BUILD))

lint:
	@scripts/deps.sh build lint
	@scripts/lint.sh

sim: build
	@$(BUILD)/tests/sim/sim_echo $(SEEDS)
	@$(BUILD)/tests/sim/sim_pair $(SEEDS)
	@$(BUILD)/tests/sim/sim_mix -c -j $(JOBS) -d $(BUILD) $(SEEDS)

sim-plots: build
	@scripts/deps.sh plot
	@$(BUILD)/tests/sim/sim_rate -o $(BUILD); bad=$$?; \
		gnuplot -e "dir='$(BUILD)'" tests/sim/sim_rate.gp && echo "plots: $(BUILD)/sim_rate*.png" && exit $$bad

spray: build
	@scripts/deps.sh test
	@CONVD_BUILD=$(abspath $(BUILD)) tests/smoke/spray.sh $(COUNT)

bulk: build
	@scripts/deps.sh test
	@CONVD_BUILD=$(abspath $(BUILD)) tests/smoke/bulk.sh $(MB)

workers: build
	@scripts/deps.sh test
	@CONVD_BUILD=$(abspath $(BUILD)) tests/smoke/workers.sh $(CHANGES) $(SEED)

linux: build
	@scripts/deps.sh test
	@CONVD_BUILD=$(abspath $(BUILD)) tests/smoke/linux.sh $(RUNS)

rfc: build
	@/usr/bin/python3 scripts/rfc.py ran $(BUILD)
	@/usr/bin/python3 scripts/rfc.py breaks --count $(ROWS) --seed $(SEED)

mutants:
	@scripts/deps.sh build test
	@scripts/mutate.py --count $(COUNT) --minutes $(MINUTES) --seed $(SEED) --only "$(ONLY)"

torture: build
	@$(BUILD)/tests/torture/torture $(SECONDS)
	@/usr/bin/python3 scripts/torture.py $(BUILD)

# DPDK's headers with atomics that ThreadSanitizer knows, and not with assembler.
tsan:
	@scripts/deps.sh build lint
	@[ -d build-tsan ] || CC=clang meson setup build-tsan -Db_sanitize=thread -Db_lundef=false \
		-Dc_args='-DRTE_FORCE_INTRINSICS -DRTE_USE_C11_MEM_MODEL' >/dev/null
	@ninja -C build-tsan tests/torture/torture
	@TSAN_OPTIONS="suppressions=tests/torture/tsan.supp history_size=4" build-tsan/tests/torture/torture $(SECONDS)

# meson builds what these suites need, no more.
asan:
	@scripts/deps.sh build
	@[ -d build-asan ] || meson setup build-asan -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@TIMEOUTS=5 ASAN_OPTIONS=detect_leaks=0 scripts/test.sh $(abspath build-asan) unit wire sim torture

interleave: build
	@$(BUILD)/tests/interleave/interleave --bound $(BOUND) --random 2000
	@/usr/bin/python3 scripts/interleave.py controls $(BUILD)
	@/usr/bin/python3 scripts/interleave.py protections $(BUILD)
	@/usr/bin/python3 scripts/hazards.py

spin:
	@scripts/deps.sh build test
	@/usr/bin/python3 tests/spin/run.py

litmus:
	@/usr/bin/python3 scripts/atomics.py check
	@/usr/bin/python3 tests/litmus/run.py

install: build
	@meson install -C $(BUILD)

bench:
	@scripts/deps.sh build bench
	@/usr/bin/python3 bench/bench.py -r $(REPEATS) $(if $(REFRESH),--refresh) $(PARTS)

soak fuzz deb:
	@echo "make $@: not built yet (docs/roadmap.md)"; exit 2

clean:
	rm -rf $(BUILD) build-asan build-tsan build-lint-gcc build-lint-clang
