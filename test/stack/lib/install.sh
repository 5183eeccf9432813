# shellcheck shell=bash
# What the stack needs on the machine: Debian packages, the jars from Maven, the small Kafka tool, the extension.

JVMS=/usr/lib/jvm # where Debian has them

# Sets JAVA to a java of at least JAVA_MIN.
find_java() {
	local candidate major
	for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(type -P java)" "$JVMS"/*/bin/java; do
		[[ -x $candidate ]] || continue
		major=$("$candidate" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
		if [[ $major ]] && ((major >= JAVA_MIN)); then
			JAVA=$candidate
			return 0
		fi
	done
	return 1
}

# Sets PG_BIN and PG_LIB; PG_CONFIG may be given.
find_postgres() {
	local version
	PG_BIN=$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null) || return 1
	PG_LIB=$("${PG_CONFIG:-pg_config}" --pkglibdir)
	[[ -x $PG_BIN/initdb && -x $PG_BIN/postgres ]] || return 1
	version=$("$PG_BIN/postgres" --version | sed 's/.*) \([0-9]*\).*/\1/')
	((version >= POSTGRES_MIN)) ||
		die "PostgreSQL $version in $PG_BIN is too old: $POSTGRES_MIN is needed" "point to a newer one: make run PG_CONFIG=/path/to/pg_config"
}

# What building for that server takes: PGXS, and its headers, which Debian has in another package
find_pgxs() {
	local config=${PG_CONFIG:-pg_config}
	[[ -f $("$config" --pgxs 2>/dev/null) && -f $("$config" --includedir-server 2>/dev/null)/postgres.h ]]
}

# The compiler that PGXS calls, which is that of the server's build; before there is one, gcc
find_compiler() {
	local cc
	cc=$("${PG_CONFIG:-pg_config}" --cc 2>/dev/null)
	COMPILER=${cc%% *}
	type -P "${COMPILER:=gcc}" >/dev/null
}

# Has a library its header, and does a program link with it?
compiles() { find_compiler && "$COMPILER" -x c -o /dev/null - "$@" >/dev/null 2>&1; }
has_libc() { compiles <<<$'#include <stdio.h>\nint main(void) { return puts("") < 0; }'; }
has_librdkafka() { compiles -lrdkafka <<<$'#include <librdkafka/rdkafka.h>\nint main(void) { return rd_kafka_version() == 0; }'; }

# the major release Debian would install, or that of the pg_config in the path
postgres_major() {
	local major
	major=$(pg_config --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
	[[ $major ]] && apt-cache show "postgresql-$major" >/dev/null 2>&1 && { printf '%s' "$major"; return; }
	apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1
}

# missing_packages [record]: names the Debian packages to install; POSTGRES stands for its release's name
missing_packages() {
	find_java || echo default-jre-headless
	[[ -f $JARS/.complete ]] || type -P mvn >/dev/null || echo maven
	type -P make >/dev/null || echo make
	type -P perl >/dev/null || echo perl
	find_compiler || echo "$COMPILER"
	has_libc || echo libc6-dev
	has_librdkafka || echo librdkafka-dev
	type -P curl >/dev/null || echo curl
	type -P jq >/dev/null || echo jq
	[[ ${1:-} != record ]] || type -P kcat >/dev/null || echo kcat
	find_postgres || echo postgresql-POSTGRES
	[[ $STACK_DEMO == no ]] || find_python || echo python3-venv
	type -P psql >/dev/null || echo postgresql-client-POSTGRES
	[[ $STACK_EXTENSION != yes ]] || find_pgxs || echo postgresql-server-dev-POSTGRES
}

as_root() {
	if ((EUID == 0)); then "$@"; elif [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
}

# Asks for the password here, where it can be seen, and not behind a log
may_be_root() { ((EUID == 0)) || { if [[ -t 0 ]]; then sudo -v; else sudo -n true 2>/dev/null; fi; }; }

# show_apt LOG: what apt says of itself (APT::Status-Fd) shown, the rest into the log
show_apt() {
	local line
	while IFS= read -r line; do
		if [[ $line =~ ^(dl|pm)status:.*:([0-9]+)(\.[0-9]+)?:(.*)$ ]]; then
			case ${BASH_REMATCH[1]} in
			dl) progress "${BASH_REMATCH[2]}" "fetching packages: ${BASH_REMATCH[4]}" ;;
			pm) progress "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}" ;;
			esac
		else
			printf '%s\n' "$line" >>"$1"
		fi
	done
	progress_end
}

install_packages() { # [record]
	local missing major start log=$DIR/log/install.log
	if [[ ${JAVA_HOME:-} && ! -x $JAVA_HOME/bin/java ]]; then
		warn "JAVA_HOME=$JAVA_HOME has no bin/java: it is passed over"
		unset JAVA_HOME # Maven would take it
	fi
	missing=$(missing_packages "${1:-}")
	if [[ ${PG_CONFIG:-pg_config} != pg_config && $missing == *POSTGRES* ]]; then
		die "the PostgreSQL of PG_CONFIG=$PG_CONFIG is not complete: it needs bin/initdb, bin/postgres and pgxs" \
			"install it with its server headers, or leave PG_CONFIG out"
	fi
	if [[ $missing ]]; then
		missing=${missing//$'\n'/ }
		type -P apt-get >/dev/null || die "missing: $missing" "this is no Debian (no apt-get): install these by the system's own means"
		major=$(postgres_major)
		((EUID == 0)) || type -P sudo >/dev/null || die "missing packages, and neither root nor sudo to install them: ${missing//POSTGRES/${major:-$POSTGRES_MIN}}" \
			"as root: apt-get install ${missing//POSTGRES/${major:-$POSTGRES_MIN}}"
		may_be_root || die "missing packages, and $(id -un) may not install them with sudo: ${missing//POSTGRES/${major:-$POSTGRES_MIN}}" \
			"as root: apt-get install ${missing//POSTGRES/${major:-$POSTGRES_MIN}}"
		mkdir -p "$DIR/log"
		start=$(now_ms)
		say "==> installing ${missing//POSTGRES/…} (apt-get, log in $log)"
		as_root apt-get -q update >>"$log" 2>&1 || warn "apt-get update failed, going on with the lists at hand"
		if [[ $missing == *POSTGRES* ]]; then
			major=$(postgres_major)
			[[ $major ]] || { show_tail "$log" 5; die "apt knows no PostgreSQL" "is there a network, and are Debian's sources set up? see $log"; }
			missing=${missing//POSTGRES/$major}
		fi
		# shellcheck disable=SC2086  # words on purpose
		if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
			-o DPkg::Lock::Timeout=120 -o APT::Status-Fd=1 install $missing 2>&1 9>&- | show_apt "$log"; then
			show_tail "$log" 10
			die "apt-get could not install: $missing" "is there a network? the whole output is in $log"
		fi
		hash -r
		say "    done in $(seconds_since "$start") s"
	fi
	find_java || die "no java of version $JAVA_MIN or newer" "install one, or set JAVA_HOME"
	[[ $STACK_DEMO == no ]] || find_python ||
		die "no python3 of version ${PYTHON_MIN/,/.} or newer with venv" "install one, or do without the demo: STACK_DEMO=no make run"
	find_postgres || die "no PostgreSQL server found" "set PG_CONFIG to its pg_config"
}

# The jars, copied once into $JARS (named after the versions) out of Maven's own repository: fetch_jars begins, what else there is to do can
# be done meanwhile, and install_jars waits for it.
JARS_PID=''
fetch_jars() {
	[[ -z $JARS_PID && ! -f $JARS/.complete ]] || return 0
	JARS_SINCE=$(now_ms)
	mkdir -p "$CACHE" 2>/dev/null && [[ -w $CACHE ]] || die "$CACHE cannot be written" "run 'test/stack/stack install' as its owner first"
	JARS_LOG=$CACHE/maven.log
	say "==> fetching Kafka $KAFKA_VERSION and Debezium $DEBEZIUM_VERSION (Maven, log in $JARS_LOG)"
	exec_maven >"$JARS_LOG" 2>&1 </dev/null 9>&- &
	JARS_PID=$!
}

exec_maven() {
	exec mvn -B -f "$HERE/pom.xml" \
		"org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN_VERSION:copy-dependencies" \
		-DincludeScope=runtime -DoutputDirectory="$JARS.new.$$" \
		-Dkafka.version="$KAFKA_VERSION" -Dscala.version="$SCALA_VERSION" \
		-Ddebezium.version="$DEBEZIUM_VERSION" -Dlog4j.version="$LOG4J_VERSION"
}

# How many files there will be, and of what size, Maven does not know
maven_ended() {
	kill -0 "$JARS_PID" 2>/dev/null || return 0
	progress "$(awk '/ Downloaded from / { files++
		total += substr($0, match($0, /\([0-9.]+ /) + 1) * (/ kB at / ? 1e3 : / MB at / ? 1e6 : 1) }
		END { printf "%d files, %.1f MB", files, total / 1e6 }' "$JARS_LOG")"
	return 1
}

stop_maven() {
	[[ -z $JARS_PID ]] || kill "$JARS_PID" 2>/dev/null
	rm -rf "$JARS.new.$$"
}

install_jars() {
	local new=$JARS.new.$$
	fetch_jars
	[[ $JARS_PID ]] || return 0
	until maven_ended; do sleep 0.5; done
	progress_end
	if ! wait "$JARS_PID"; then
		stop_maven
		grep -m 5 ERROR "$JARS_LOG" | cut -c -300 >&2
		die "Maven could not fetch Kafka and Debezium" "is there a network (or a mirror in ~/.m2/settings.xml)? the whole output is in $JARS_LOG"
	fi
	JARS_PID=''
	touch "$new/.complete"
	# somebody else may have been quicker
	mv -T "$new" "$JARS" 2>/dev/null || rm -rf "$new"
	[[ -f $JARS/.complete ]] || die "$JARS is not complete" "remove it and try again"
	say "    done in $(seconds_since "$JARS_SINCE") s"
}

# the small Kafka tool: topics without a JVM
install_kafka_admin() {
	[[ -x $KAFKA_ADMIN && ! $HERE/kafka-admin.c -nt $KAFKA_ADMIN ]] && return
	local log=$CACHE/kafka-admin.log
	mkdir -p "$CACHE"
	find_compiler
	if ! "$COMPILER" -O1 -Wall -o "$KAFKA_ADMIN.$$" "$HERE/kafka-admin.c" -lrdkafka 2>"$log"; then
		show_tail "$log"
		die "test/stack/kafka-admin.c does not compile" "is librdkafka-dev installed?"
	fi
	mv "$KAFKA_ADMIN.$$" "$KAFKA_ADMIN"
}

install_tools() { # [record]
	install_packages "${1:-}"
	install_jars
	install_kafka_admin
}

# what make run needs: the slowest goes on while the rest is made
install_all() {
	install_packages
	fetch_jars
	install_extension
	[[ $STACK_DEMO == no ]] || install_demo
	[[ -z $JARS_PID ]] || say "==> waiting for Maven"
	install_jars
	install_kafka_admin
}

# show_make LOG: what make compiles shown, all of it into the log
show_make() {
	local line files=("$ROOT"/src/*/*.c) done=0
	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$1"
		[[ $line =~ \ -c\ .*\ (src/[^ ]*)\.c ]] || continue
		progress $((done * 100 / ${#files[@]})) "compiling ${BASH_REMATCH[1]}.c"
		((done == ${#files[@]} - 1)) || ((++done))
	done
	progress_end
}

# make && make install of the extension; STACK_EXTENSION=installed takes the one that is there, =no does without
install_extension() {
	[[ $STACK_EXTENSION == yes ]] || return 0
	local start log=$DIR/log/build.log
	local -a make=(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$ROOT" PG_CONFIG="${PG_CONFIG:-pg_config}" with_llvm=no)
	start=$(now_ms)
	mkdir -p "$DIR/log"
	say "==> building cdcsync (log in $log)"
	: >"$log"
	"${make[@]}" -j "$(nproc)" all 2>&1 9>&- | show_make "$log" || {
		grep -m 8 -E 'error|\*\*\*' "$log" | cut -c -300 >&2
		die "the extension does not build" "the whole output is in $log"
	}
	if [[ -w $PG_LIB && -w $("${PG_CONFIG:-pg_config}" --sharedir)/extension ]]; then
		"${make[@]}" install >>"$log" 2>&1 9>&-
	else
		type -P sudo >/dev/null || die "cdcsync must be installed below $PG_LIB, which $(id -un) may not write" "run 'make install' as root once, then this again with STACK_EXTENSION=installed"
		as_root "${make[@]}" install >>"$log" 2>&1 9>&-
	fi || { show_tail "$log"; die "make install failed" "the whole output is in $log"; }
	say "    done in $(seconds_since "$start") s"
}
