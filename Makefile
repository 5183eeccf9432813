# cdcsync: a PostgreSQL extension, built by PGXS
#
#   make && make install     build and install into the server of PG_CONFIG
#   make run n=2             a server and two clients that keep themselves in sync
#   make test                every test; make test T=010: one (test/run)
#   make test-matrix         the tests that need no Kafka on other majors, versions=17,18 (test/matrix)
#   make test-package        the Debian package: built, installed, used, removed, in an overlay of this machine (test/package)
#   make model               the conflict rules in every interleaving of a few operations
#   make converge            random transactions, faults and clocks until all nodes are equal
#   make chaos               random transactions while everything is killed, locked and altered: nothing lost, nothing blocked
#   make bench               how fast it is, beside others that do this job (bench/, doc/performance.md)
#   make installcheck        what needs no Kafka, on a running server that has the extension
EXTENSION = cdcsync
MODULE_big = cdcsync
DATA = $(sort $(wildcard cdcsync--*.sql))
PGFILEDESC = "cdcsync - keeps databases in sync through Debezium and Kafka"

OBJS = $(patsubst %.c,%.o,$(filter-out src/consumer/%,$(sort $(wildcard src/*/*.c))))

# the Kafka client, a program of its own; the library has nothing of librdkafka
CONSUMER = cdcsync-consumer
CONSUMER_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/consumer/*.c)))
EXTRA_CLEAN = $(CONSUMER) $(CONSUMER_OBJS)

# domain.h marks the errors that are cdcsync's own
PG_CPPFLAGS = -Isrc -include $(srcdir)/src/base/domain.h
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare

REGRESS = setup fixtures every decode types extensions columns ddl keys collation errors rules before forward version fired tombstone horizon rekey commit presets handling unique nulls history connector security reading check republish digest schema
REGRESS_OPTS = --encoding=UTF8 --no-locale
ISOLATION = setup $(filter-out setup,$(patsubst test/isolation/specs/%.spec,%, \
	$(sort $(wildcard test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test/isolation --encoding=UTF8 --no-locale --load-extension=cdcsync

PG_CONFIG ?= pg_config
# make run installs what is missing
PGXS := $(shell $(PG_CONFIG) --pgxs $(if $(filter run,$(MAKECMDGOALS)),2>/dev/null))
include $(PGXS)

# the database that installcheck makes; some of the expected output has its name
CONTRIB_TESTDB = regress

# a changed header rebuilds all: the library is small
$(OBJS) $(CONSUMER_OBJS): $(wildcard src/*/*.h)

all: $(CONSUMER)
$(CONSUMER): $(CONSUMER_OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) $(LDFLAGS_EX) $^ -lrdkafka -o $@
# nothing of the server's is in it, its headers neither
$(CONSUMER_OBJS): %.o: %.c
	$(CC) $(CFLAGS) -D_GNU_SOURCE -I$(srcdir)/src -c -o $@ $<

install: install-consumer
.PHONY: install-consumer uninstall-consumer
install-consumer: $(CONSUMER) installdirs
	$(INSTALL_PROGRAM) $(CONSUMER) '$(DESTDIR)$(pkglibdir)/'
uninstall: uninstall-consumer
uninstall-consumer:
	rm -f '$(DESTDIR)$(pkglibdir)/$(CONSUMER)'

include test/stack/stack.mk

.PHONY: test
test:
	@PG_CONFIG='$(PG_CONFIG)' test/run $(T)

# make test-matrix versions=17 full=1 T=010: with Kafka, this file (test/matrix)
comma := ,
.PHONY: test-matrix
test-matrix:
	@test/matrix $(if $(full),full) $(subst $(comma), ,$(or $(versions),17 18)) $(T)

.PHONY: test-package
test-package:
	@test/package

# make model depth=1 limit=1000000: so many operations more, so many states of a configuration at most
.PHONY: model
model:
	@PG_CONFIG='$(PG_CONFIG)' test/model/run $(if $(depth),-d $(depth)) $(if $(limit),-l $(limit))

# make converge rounds=200 topology=hub,mesh clock=both seed=1 (test/t/050_converge.pl)
.PHONY: converge
converge:
	@$(foreach v,rounds first seed topology clock nodes transactions,$(if $($(v)),CONVERGE_$(shell echo $(v) | tr a-z A-Z)='$($(v))')) \
		PG_CONFIG='$(PG_CONFIG)' test/run -v 050

# make chaos rounds=100 topology=hub,mesh seed=1 (test/t/051_chaos.pl)
.PHONY: chaos
chaos:
	@$(foreach v,rounds first seed topology nodes transactions,$(if $($(v)),CHAOS_$(shell echo $(v) | tr a-z A-Z)='$($(v))')) \
		PG_CONFIG='$(PG_CONFIG)' test/run -v 051

# make fuzz time=3600 jobs=2; make fuzz input=FILE (test/t/005_fuzz.pl)
.PHONY: fuzz
fuzz:
	@FUZZ_TIME='$(or $(time),600)' $(if $(jobs),FUZZ_JOBS='$(jobs)') $(if $(input),FUZZ_INPUT='$(abspath $(input))') \
		RUN_NAME=fuzz PG_CONFIG='$(PG_CONFIG)' test/run -v 005

# make memcheck T='001 020' (test/run)
.PHONY: memcheck
memcheck:
	@MEMCHECK=1 RUN_NAME=memcheck PG_CONFIG='$(PG_CONFIG)' test/run $(or $(T),001)

# cppcheck 2.10 passes value*.c by: it cannot expand the macros of value_convert.h. clang-tidy: what .clang-tidy says
.PHONY: lint
lint:
	@test/house
	@test/format
	@cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --suppress=missingIncludeSystem --inline-suppr \
		--max-configs=1 --library=test/cppcheck.cfg -Isrc src
	@clang-tidy --quiet src/*/*.c bench/*.c -- -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) -D_GNU_SOURCE -include src/base/domain.h

# the blanks and columns of the C code (test/format)
.PHONY: format
format:
	@test/format --mend

# how large functions and files are, how much is shared (test/house)
.PHONY: house
house:
	@test/house figures

# make bench B='bulk latency' size=0.01 rounds=1
.PHONY: bench
bench:
	@$(if $(size),BENCH_SIZE='$(size)') $(if $(rounds),BENCH_ROUNDS='$(rounds)') PG_CONFIG='$(PG_CONFIG)' bench/run $(B)

print-%:
	@echo '$($*)'
