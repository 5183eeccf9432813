# shellcheck shell=bash
# The nodes: one server and CLIENTS clients, each a Postgres with the demo's tables, a connector and subscriptions.

DATABASE=app
TABLES=(todos shared_note)
MAX_CLIENTS=99 # the ports from base + 100 are Kafka's

node_name() { if (($1 == 0)); then printf server; else printf 'client-%s' "$1"; fi; }
node_port() { printf '%s' $((BASE_PORT + $1)); }
node_sql() { local i=$1; shift; sql "$(node_port "$i")" "$DATABASE" "$@"; }
node_alive() { pg_alive "$(node_name "$1")"; }
node_paused() { [[ $(connector_status "$(node_name "$1")" 2>/dev/null | jq -r .connector.state) == @(PAUSED|STOPPED) ]]; }

script_sum() { cat "$("${PG_CONFIG:-pg_config}" --sharedir)"/extension/cdcsync--*.sql 2>/dev/null | cksum; }
library_sum() { if [[ -r $PG_LIB/cdcsync.so ]]; then cksum <"$PG_LIB/cdcsync.so"; else echo none; fi; }

# node_start I: makes the data directory if there is none
node_start() {
	local name lines=()
	name=$(node_name "$1")
	node_alive "$1" && return
	need_free_port "$(node_port "$1")" "Postgres of $name"
	pg_init "$name"
	[[ $STACK_EXTENSION == no ]] || lines=("shared_preload_libraries = 'cdcsync'")
	pg_configure "$name" "$(node_port "$1")" "${lines[@]}" \
		"cdcsync.bootstrap_servers = 'localhost:$KAFKA_PORT'" "cdcsync.node_name = '$name'"
	pg_start "$name"
	library_sum >"$DIR/nodes/$name/library"
}

# A library built anew is loaded only by a new server.
node_outdated() {
	[[ $STACK_EXTENSION != no ]] && node_alive "$1" &&
		[[ $(library_sum) != "$(cat "$DIR/nodes/$(node_name "$1")/library" 2>/dev/null)" ]]
}

node_sql_or_die() { # I WHAT [psql arguments]
	local i=$1 what=$2 out
	shift 2
	out=$(node_sql "$i" "$@" 2>"$DIR/sql.err") ||
		die "$(node_name "$i"): $what failed: $(<"$DIR/sql.err")" "its log: $DIR/log/$(node_name "$i").log"
	printf '%s' "$out"
}

# Database, table, extension and table rule: all of it or nothing.
node_schema() { # I
	local port out
	port=$(node_port "$1")
	[[ $(sql "$port" postgres -c "SELECT 1 FROM pg_database WHERE datname = '$DATABASE'") == 1 ]] ||
		sql "$port" postgres -c "CREATE DATABASE $DATABASE" || die "$(node_name "$1"): CREATE DATABASE failed"
	if [[ $(node_sql "$1" -c "SELECT 1 FROM pg_publication WHERE pubname = 'cdcsync'") == 1 ]]; then
		[[ $STACK_EXTENSION == no || $(script_sum) == "$(cat "$DIR/nodes/$(node_name "$1")/script" 2>/dev/null)" ]] ||
			warn "$(node_name "$1") was made with another cdcsync--*.sql than the one now installed: make clean-run for fresh nodes"
		return
	fi
	if ! out=$({
		if [[ $STACK_EXTENSION == no ]]; then
			printf 'ALTER TABLE %s REPLICA IDENTITY FULL;\n' "${TABLES[@]}"
			echo "CREATE PUBLICATION cdcsync FOR TABLE $(join ', ' "${TABLES[@]}");"
		else
			echo 'CREATE EXTENSION cdcsync;'
			printf "SELECT cdcsync.add_table('%s', version_column => 'updated_at');\n" "${TABLES[@]}"
		fi
	} | node_sql "$1" --single-transaction -v node="$1" -f "$ROOT/demo/schema.sql" -f - 2>&1); then
		die "$(node_name "$1"): its tables could not be set up: $out" "its log: $DIR/log/$(node_name "$1").log"
	fi
	script_sum >"$DIR/nodes/$(node_name "$1")/script"
}

node_connector() { # I
	local name json password=''
	name=$(node_name "$1")
	[[ -z ${PGPASSWORD:-} ]] || password="\${file:$(password_file):password}"
	json=$(connector_json "$name" 127.0.0.1 "$(node_port "$1")" "$DATABASE" postgres "$password" true) || exit 1
	rest GET "connectors/$name" >/dev/null 2>&1 || STARTED+=("connector:$name")
	connector_put "$name" "$json"
	if connector_failed "$name"; then
		rest_or_die POST "connectors/$name/restart?includeTasks=true&onlyFailed=true" >/dev/null
	fi
}

# subscribe I PEER
subscribe() {
	local peer
	[[ $STACK_EXTENSION == no ]] && return
	peer=$(node_name "$2")
	node_sql_or_die "$1" "subscribe('$peer')" -c "
		SELECT cdcsync.subscribe('$peer', topics => '{$(join ',' "${TABLES[@]/#/$peer.public.}")}')
		WHERE NOT EXISTS (SELECT FROM cdcsync.stat_subscription WHERE subscription = '$peer')" >/dev/null
}

# --- in sync ---------------------------------------------------------------------------------------

# the nodes whose connector is not paused; the server always
connected_nodes() {
	local i
	for ((i = 0; i <= CLIENTS; i++)); do
		if ((i > 0)) && node_paused "$i"; then continue; fi
		echo "$i"
	done
}

node_digest() {
	node_sql "$1" -c "SELECT (SELECT count(*) FROM todos) || ' rows ' || coalesce(md5(string_agg(t, E'\n' ORDER BY t)), '')
		FROM (SELECT todos::text FROM todos UNION ALL SELECT shared_note::text FROM shared_note) AS all_rows (t)"
}

# Every subscription has applied all that its topics hold, and all tables are equal. 2 if one says it cannot go on.
in_sync() { # I…
	local i out first=
	SYNC_TROUBLE=
	if [[ $STACK_EXTENSION == no ]]; then
		[[ $(kafka_admin topic-offsets server.public.todos 2>/dev/null | cut -d ' ' -f 3) -ge 1 ]]
		return
	fi
	for i in "$@"; do
		if ! out=$(node_sql "$i" -c "SELECT count(*) FROM (SELECT DISTINCT subscription FROM cdcsync.stat_subscription) s
			WHERE NOT cdcsync.wait_for(subscription, timeout => '2s')" 2>"$DIR/sql.err"); then
			SYNC_TROUBLE="$(node_name "$i"): $(<"$DIR/sql.err")"
			node_alive "$i" && return 2
			return 1
		fi
		[[ $out == 0 ]] || { SYNC_TROUBLE="$(node_name "$i") has events still to apply"; return 1; }
	done
	for i in "$@"; do
		out=$(node_digest "$i") || return 1
		[[ ${first:=$out} == "$out" ]] || { SYNC_TROUBLE="$(node_name "$i") has $out, $(node_name "$1") has $first"; return 1; }
	done
	SYNC_RESULT=${first%% *}
}

sync_nodes() { # SECONDS
	local nodes i start
	start=$(now_ms)
	mapfile -t nodes < <(connected_nodes)
	if ! wait_until "${#nodes[@]} nodes to be in sync" "$1" in_sync "${nodes[@]}"; then
		warn "the nodes are not in sync after $(seconds_since "$start") s: ${SYNC_TROUBLE:-no event came through}"
		for i in "${nodes[@]}"; do
			printf -- '--- %s: %s\n' "$(node_name "$i")" "$(node_digest "$i" 2>&1)" >&2
			connector_explain "$(node_name "$i")"
			[[ $STACK_EXTENSION == no ]] ||
				psql -Xq -h 127.0.0.1 -p "$(node_port "$i")" -U postgres -d "$DATABASE" -c 'SELECT * FROM cdcsync.stat_subscription' -x >&2 2>&1
			show_errors "$DIR/log/$(node_name "$i").log"
		done
		return 1
	fi
}

# --- make run, stop, connect, disconnect, psql, status ---------------------------------------------------

running_parts() {
	local i
	proc_alive kafka && echo kafka
	proc_alive debezium && echo debezium
	proc_alive demo && echo demo
	for ((i = 0; i <= ${CLIENTS:-0}; i++)); do if node_alive "$i"; then printf '%s\n' "$(node_name "$i")"; fi; done
	return 0
}

# wanted_ports: PORT WHAT of each part that does not run yet
wanted_ports() {
	local i
	proc_alive kafka || printf '%s Kafka\n%s Kafka'"'s controller\n" "$KAFKA_PORT" "$CONTROLLER_PORT"
	proc_alive debezium || printf '%s Debezium (Kafka Connect)\n' "$CONNECT_PORT"
	[[ $STACK_DEMO == no ]] || proc_alive demo || printf '%s the demo\n' "$(demo_port)"
	for ((i = 0; i <= CLIENTS; i++)); do
		node_alive "$i" || printf '%s Postgres of %s\n' "$(node_port "$i")" "$(node_name "$i")"
	done
}

# The first block of ports, from the one that is set on, of which nobody has any that is wanted
find_free_block() {
	local first=$BASE_PORT port part taken
	while :; do
		taken=
		while read -r port part; do
			port_free "$port" || { taken=yes; break; }
		done < <(wanted_ports)
		[[ $taken ]] || break
		say "    port $port, wanted for $part, is taken by $(port_owner "$port")"
		set_ports "$(next_base_port "$BASE_PORT")"
		((BASE_PORT != first)) || die "no block of $PORTS_OF_BLOCK free ports found" "choose one: make run BASE_PORT=…"
	done
	((BASE_PORT == first)) || say "==> taking the ports from $BASE_PORT on instead"
}

cmd_run() {
	local clients='' base=${BASE_PORT:-} port part i start running old=0 outdated=() table topic
	while (($#)); do
		case $1 in
		--clients) clients=${2-}; shift ;;
		*) bad_usage "run: unknown option $1" ;;
		esac
		shift
	done
	[[ -z $clients ]] || { is_number "$clients" && ((clients >= 1 && clients <= MAX_CLIENTS)); } ||
		bad_usage "n must be a number of clients from 1 to $MAX_CLIENTS, not '$clients' (make run n=2)"
	[[ $STACK_AUTH == @(trust|scram) ]] || bad_usage "auth must be trust or scram, not '$STACK_AUTH' (make run auth=scram)"
	[[ -z $base ]] || check_base_port "$base"
	start=$(now_ms)
	take_lock
	if load_state; then old=${CLIENTS:-0}; fi
	: "${clients:=$((old > 0 ? old : 2))}"
	if ((clients < old)); then
		die "this stack has $old clients, n=$clients would be fewer; clients can be added, not taken away" \
			"go on with it: make run n=$old   or begin anew: make clean-run, then make run n=$clients"
	fi
	running=$(CLIENTS=$old running_parts)
	if [[ $running && $base && $base != "$BASE_PORT" ]]; then
		die "this stack runs on BASE_PORT=$BASE_PORT" "stop it before you give it other ports: make stop"
	fi
	set_ports "${base:-${BASE_PORT:-$DEFAULT_BASE_PORT}}"
	if [[ $running ]]; then
		if [[ $(grep -vc demo <<<"$running") == $((old + 3)) ]]; then
			say "==> the stack is running already, with $old clients"
		else
			say "==> parts of the stack are running (${running//$'\n'/, }): starting the others"
		fi
		((clients == old)) || say "==> adding $((clients - old)) to its $old clients"
	fi

	make_password
	install_all
	find_postgres_user

	# everything that could be in the way, before anything is started
	CLIENTS=$clients
	: "${CLUSTER_ID:=$(new_cluster_id)}"
	if [[ $running || $base ]]; then
		while read -r port part; do need_free_port "$port" "$part"; done < <(wanted_ports)
	else
		find_free_block
	fi
	for ((i = 0; i <= clients; i++)); do node_outdated "$i" && outdated+=("$i"); done
	# from here on `make stop` must know where everything is; a client counts once it is complete
	CLIENTS=$old save_state

	kafka_launch
	for i in "${outdated[@]}"; do
		say "==> $(node_name "$i"): restarting Postgres with the library just built"
		pg_stop "$(node_name "$i")"
	done
	for ((i = 0; i <= clients; i++)); do node_start "$i"; done
	say "==> $((clients + 1)) Postgres servers on ports $(node_port 0) to $(node_port "$clients")"
	kafka_wait
	debezium_launch
	for ((i = 0; i <= clients; i++)); do
		node_schema "$i"
		for table in "${TABLES[@]}"; do
			topic=$(node_name "$i").public.$table
			kafka_admin topics | grep -q "^${topic//./\\.} " || kafka_admin topic-create "$topic" 1 || die "Kafka refused the topic $topic"
		done
	done
	debezium_wait
	for ((i = 0; i <= clients; i++)); do node_connector "$i"; done
	for ((i = 0; i <= clients; i++)); do connector_wait "$(node_name "$i")"; done
	say "==> connectors stream"
	for ((i = 1; i <= clients; i++)); do
		subscribe 0 "$i"
		subscribe "$i" 0
	done
	if [[ $(node_sql_or_die 0 'reading todos' -c 'SELECT count(*) FROM todos') == 0 && $old == 0 ]]; then
		node_sql_or_die 0 'the first rows' -c "INSERT INTO todos (title, description)
			VALUES ('Change me on any node', 'Written on the server by make run; every client gets it.')" \
			-c "INSERT INTO shared_note VALUES (1, 'One row for all nodes.')" >/dev/null
	fi
	sync_nodes 90 || die "the nodes of the stack do not agree" "see above what stands in the way; logs are in $DIR/log" \
		"(STACK_KEEP=1 make run leaves running what it started)"
	save_state
	[[ $STACK_DEMO == no ]] || demo_start
	STARTED=()
	for ((i = 1; i <= clients; i++)); do
		node_paused "$i" && say "    client $i is disconnected and stays so: make connect n=$i"
	done
	say "==> in sync, $(seconds_since "$start") s after the start"
	addresses
	[[ $STACK_DEMO == no ]] || demo_open
}

addresses() {
	local i
	printf '\n'
	for ((i = 0; i <= CLIENTS; i++)); do
		printf '  %-9s  psql -h localhost -p %s -U postgres %s\n' "$(node_name "$i")" "$(node_port "$i")" "$DATABASE"
	done
	[[ -z ${PGPASSWORD:-} ]] || printf '  %-9s  in %s\n' password "$(password_file)"
	printf '  %-9s  localhost:%s\n  %-9s  http://localhost:%s/connectors\n' Kafka "$KAFKA_PORT" Debezium "$CONNECT_PORT"
	[[ $STACK_DEMO == no ]] || printf '  %-9s  http://localhost:%s   <- open this\n' 'the demo' "$(demo_port)"
	echo
	cat <<-EOF
		  make psql n=1         a psql on client 1 (n=0: the server)
		  make disconnect n=1   cut client 1 off;  make connect n=1  brings it back
		  make stop             stops all of it; the data stay for the next make run
	EOF
}

# stops nodes, Debezium and Kafka of $DIR, whichever run
stop_all() {
	local name data pids=()
	demo_stop
	for name in debezium kafka; do pids+=("$(proc_pid "$name")"); done
	proc_stop debezium "$(java_patience debezium)" & # flushes its offsets to Kafka
	for data in "$DIR"/nodes/*/data; do
		name=${data%/data}
		name=${name##*/}
		pg_alive "$name" || continue
		pids+=("$(head -n 1 "$data/postmaster.pid")")
		pg_stop "$name" &
	done
	wait
	java_stopped debezium
	java_stop kafka
	# who adopted the dead may take a moment to bury them: leave no zombie behind if that can be helped
	STACK_QUIET=1 wait_until burial 3 proc_buried "${pids[@]}" || true
}

any_running() { # in $DIR, whatever its state file says
	local data
	proc_alive kafka || proc_alive debezium || proc_alive demo && return
	for data in "$DIR"/nodes/*/data; do
		data=${data%/data}
		pg_alive "${data##*/}" && return
	done
	return 1
}

cmd_stop() {
	[[ -d $DIR ]] || { say "there is no stack in $DIR"; return; }
	take_lock
	any_running || { say "the stack is not running"; return; }
	find_postgres || die "no pg_config to stop the Postgres servers with" "set PG_CONFIG as it was for make run"
	find_postgres_user
	say "==> stopping"
	stop_all
	any_running && die "not everything stopped" "see $DIR/log"
	say "    stopped; make run starts it again with its data"
}

cmd_clean() {
	[[ -d $DIR ]] || return 0
	cmd_stop
	# all but what was fetched
	find "$DIR" -mindepth 1 -maxdepth 1 ! -name cache ! -name chroot -exec rm -rf {} + || die "$DIR could not be removed"
	say "    its data are gone; what was fetched stays in ${CACHE}"
}

# need_node N FIRST: a node of this stack, running
need_node() {
	local hint="make run n=2"
	load_state && ((${CLIENTS:-0} > 0)) || die "there is no stack in $DIR" "start one: $hint"
	is_number "${1:-x}" && (($1 >= $2 && $1 <= CLIENTS)) ||
		bad_usage "n must be $( (($2 == 0)) && printf '0 for the server or ')1 to $CLIENTS for a client, not '${1:-}'"
	node_alive "$1" || die "the stack is not running ($(node_name "$1") is down)" "start it: make run"
}

need_client() {
	need_node "$1" 1
	proc_alive debezium || die "the stack is not running (Debezium is down)" "start it: make run"
}

cmd_disconnect() {
	need_client "${1:-}"
	take_lock
	local name
	name=$(node_name "$1")
	if node_paused "$1"; then say "client $1 is disconnected already"; return; fi
	[[ $STACK_EXTENSION == no ]] || node_sql_or_die "$1" 'cdcsync.pause(NULL)' -c 'SELECT cdcsync.pause(NULL)' >/dev/null
	if ! (connector_set_state "$name" pause PAUSED); then
		[[ $STACK_EXTENSION == no ]] || node_sql "$1" -c 'SELECT cdcsync.resume(NULL)' >/dev/null 2>&1
		die "client $1 is still connected"
	fi
	say "client $1 is disconnected: it neither sends nor receives until make connect n=$1"
}

cmd_connect() {
	need_client "${1:-}"
	take_lock
	local start
	start=$(now_ms)
	connector_set_state "$(node_name "$1")" resume RUNNING
	[[ $STACK_EXTENSION == no ]] || node_sql_or_die "$1" 'cdcsync.resume(NULL)' -c 'SELECT cdcsync.resume(NULL)' >/dev/null
	connector_wait "$(node_name "$1")"
	sync_nodes 60 || die "client $1 is connected again, but the nodes do not agree yet" "look again in a while: make stack-status"
	say "client $1 is connected and in sync again ($(seconds_since "$start") s)"
}

cmd_node() { # node-start|node-stop N
	load_state && is_number "${2:-x}" && (($2 <= ${CLIENTS:-0})) || bad_usage "there is no node '${2:-}' in $DIR"
	take_lock
	find_postgres || die "no PostgreSQL server found" "set PG_CONFIG as it was for make run"
	find_postgres_user
	if [[ $1 == node-stop ]]; then pg_stop "$(node_name "$2")"; else node_start "$2"; fi
	STARTED=()
}

cmd_psql() {
	need_node "${1:-0}" 0
	local port
	port=$(node_port "${1:-0}")
	(($# == 0)) || shift
	exec psql -h localhost -p "$port" -U postgres "$@" "$DATABASE"
}

cmd_status() {
	local i name state
	need_state
	for ((i = 0; i <= CLIENTS; i++)); do
		((CLIENTS > 0)) || break
		name=$(node_name "$i")
		if node_alive "$i"; then state="up, $(node_digest "$i" 2>&1 | cut -d ' ' -f 1,2) in todos"; else state=down; fi
		proc_alive debezium && state+=", connector $(connector_status "$name" 2>/dev/null | jq -r '[.connector.state, (.tasks[]?.state)] | unique | join(" ")')"
		printf '%-9s localhost:%s  %s\n' "$name" "$(node_port "$i")" "$state"
		if [[ $STACK_EXTENSION != no ]] && node_alive "$i"; then
			node_sql "$i" -F ' ' -c "SELECT '            <-', topic, state, 'lag', CASE WHEN state = 'paused' THEN '?' ELSE lag::text END, last_error FROM cdcsync.stat_subscription ORDER BY 2" 2>/dev/null
		fi
	done
	printf '%-9s localhost:%s  %s\n' Kafka "$KAFKA_PORT" "$(proc_alive kafka && echo up || echo down)"
	printf '%-9s localhost:%s  %s\n' Debezium "$CONNECT_PORT" "$(proc_alive debezium && echo up || echo down)"
	[[ $STACK_DEMO == no ]] || printf '%-9s localhost:%s  %s\n' 'the demo' "$(demo_port)" "$(proc_alive demo && echo up || echo down)"
}
