# shellcheck shell=bash
# Postgres servers of the stack, one per node, in $DIR/nodes/NAME.
# They listen on loopback only; no unix sockets, for a checkout's path may be longer than these allow.

# With STACK_AUTH=scram the first run makes a password and all the servers ask for it; from then on it is used by itself.
password_file() { printf '%s' "$DIR/secrets/postgres.properties"; }

use_password() {
	[[ -r $(password_file) ]] || return 0
	PGPASSWORD=$(sed -n 's/^password=//p' "$(password_file)")
	export PGPASSWORD
}

make_password() {
	[[ $STACK_AUTH == scram && ! -e $(password_file) ]] || return 0
	[[ ! -d $DIR/nodes/server ]] ||
		die "the servers in $DIR were made without a password" "begin anew: make clean-run, then make run auth=scram"
	mkdir -p -m 700 "$DIR/secrets"
	(umask 077 && printf 'password=%s\n' "$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')" >"$(password_file)") ||
		die "$(password_file) cannot be written"
	use_password
}

pg_data() { printf '%s' "$DIR/nodes/$1/data"; }

# Postgres refuses to run as root: then it runs as user postgres. Where that user may not pass through the
# directories above $DIR (a checkout below a 0700 directory), it is given the one capability to do so.
AS_POSTGRES=()
find_postgres_user() {
	AS_POSTGRES=()
	((EUID == 0)) || return 0
	id postgres >/dev/null 2>&1 || die "there is no user postgres to run the servers" "install Debian's postgresql package, or run this as an ordinary user"
	AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --init-groups)
	mkdir -p "$DIR/nodes"
	"${AS_POSTGRES[@]}" stat "$DIR/nodes/." >/dev/null 2>&1 && return
	AS_POSTGRES+=(--inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
	"${AS_POSTGRES[@]}" stat "$DIR/nodes/." >/dev/null 2>&1 ||
		die "user postgres, who runs the servers, may not enter $DIR" "open the directories above it (chmod o+x), or run this as an ordinary user"
}

# as_postgres COMMAND…: in the node directory's tree, with a clean environment for the server tools
as_postgres() { (cd "$DIR/nodes" && exec env -u LC_ALL LANG=C.UTF-8 "${AS_POSTGRES[@]}" "$@" 9>&-); }

# pg_init NAME: a new data directory; a half-made one is never left under the final name
pg_init() {
	local dir=$DIR/nodes/$1 new=$DIR/nodes/.new-$1 log=$DIR/log/$1.log auth=(-A trust)
	[[ -d $dir ]] && return
	mkdir -p "$DIR/log"
	rm -rf "$new"
	mkdir -p "$new" && chmod 700 "$new"
	((EUID == 0)) && chown postgres: "$new"
	if [[ ${PGPASSWORD:-} ]]; then
		auth=(-A scram-sha-256 "--pwfile=$new/password")
		as_postgres tee "$new/password" <<<"$PGPASSWORD" >/dev/null
	fi
	if ! as_postgres "$PG_BIN/initdb" -D "$new/data" -U postgres "${auth[@]}" -E UTF8 --locale=C.UTF-8 --no-sync >>"$log" 2>&1; then
		show_tail "$log"
		rm -rf "$new"
		die "initdb for $1 failed" "the whole output is in $log"
	fi
	rm -f "$new/password"
	as_postgres tee -a "$new/data/postgresql.conf" <<<"include 'stack.conf'" >/dev/null
	mv -T "$new" "$dir"
}

# pg_configure NAME PORT [LINE…]: written anew before every start, for the ports may have changed
pg_configure() {
	local name=$1 port=$2
	shift 2
	as_postgres tee "$(pg_data "$name")/stack.conf" >/dev/null <<-EOF
		# written by the stack at every start
		port = $port
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		shared_buffers = 32MB
		max_wal_size = 512MB
		wal_level = logical
		track_commit_timestamp = on
		max_connections = 100
		max_wal_senders = 20
		max_replication_slots = 120
		max_worker_processes = 32
		jit = off
		timezone = 'UTC'
		log_timezone = 'UTC'
		log_line_prefix = '%m [%p] %b %q%d '
		$(printf '%s\n' "$@")
	EOF
}

pg_alive() {
	local pid
	pid=$(head -n 1 "$(pg_data "$1")/postmaster.pid" 2>/dev/null) || return 1
	# a stale file may name a stranger: the server's working directory is its data directory
	[[ $pid ]] && proc_birth "$pid" >/dev/null && [[ $(readlink "/proc/$pid/cwd") == "$(pg_data "$1")" ]]
}

# A killed server leaves postmaster.pid behind, and where nobody buries it a zombie of that pid: Postgres would take it
# for a living server. When no process of it is left the file can go.
pg_bury() { # NAME
	local data pid dir
	data=$(pg_data "$1")
	pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) && [[ $pid && -e /proc/$pid ]] || return 0
	for dir in /proc/[0-9]*/cwd; do
		[[ $(readlink "$dir") != "$data" ]] || return 1
	done
	rm -f "$data/postmaster.pid"
}

pg_start() { # NAME
	local log=$DIR/log/$1.log out
	pg_alive "$1" && return
	wait_until "the remains of a killed server ($1)" 20 pg_bury "$1" || warn "processes of $1's killed server are still there"
	# the server opens its log itself, as its own user
	if ((EUID == 0)); then touch "$log" && chown postgres: "$log"; fi
	STARTED+=("postgres:$1")
	if ! out=$(as_postgres "$PG_BIN/pg_ctl" -D "$(pg_data "$1")" -w -t 60 -l "$log" start 2>&1 </dev/null); then
		printf '%s\n' "$out" >&2
		show_errors "$log"
		die "Postgres of $1 does not start" "the whole log is $log"
	fi
}

pg_stop() { # NAME
	pg_alive "$1" || return 0
	as_postgres "$PG_BIN/pg_ctl" -D "$(pg_data "$1")" -w -t 60 -m fast stop >/dev/null 2>&1 ||
		as_postgres "$PG_BIN/pg_ctl" -D "$(pg_data "$1")" -w -t 20 -m immediate stop >/dev/null 2>&1 ||
		warn "Postgres of $1 does not stop: see $DIR/log/$1.log"
}

# sql PORT DATABASE [psql arguments…]: one value per line; no notices, for callers read errors from standard error
sql() {
	local port=$1 database=$2
	shift 2
	PGOPTIONS='-c client_min_messages=error' psql -XqAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d "$database" "$@"
}
