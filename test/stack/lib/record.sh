# shellcheck shell=bash
# Recording fixtures: see test/stack/record.

cmd_record() {
	local sql='' setup='' out='' schemas=true node=peer own='' port json topic count lines
	local settings=() topics=()
	while (($#)); do
		case $1 in
		--sql | --setup | --out | --schemas | --node)
			(($# > 1)) || bad_usage "record: $1 needs a value"
			printf -v "${1#--}" '%s' "$2"
			shift
			;;
		--set)
			[[ ${2-} == *=* ]] || bad_usage "record: --set KEY=VALUE"
			settings+=("$2")
			shift
			;;
		*) bad_usage "record: unknown option $1" ;;
		esac
		shift
	done
	[[ -r $sql ]] || bad_usage "record: --sql FILE is needed"
	[[ -z $setup || -r $setup ]] || bad_usage "record: cannot read $setup"
	[[ $schemas == @(true|false) ]] || bad_usage "record: --schemas true or false"

	if ! { load_state && proc_alive kafka && proc_alive debezium; }; then
		own=yes
		DIR=$(mktemp -d)
		chmod 755 "$DIR"
		unset BASE_PORT CLUSTER_ID CLIENTS
		cmd_services start >/dev/null
	fi
	STACK_EXTENSION=no install_packages record
	[[ -z $out ]] || exec >"$out" || die "$out cannot be written"
	find_postgres_user

	record_postgres_start
	sql "$port" postgres -c 'CREATE DATABASE record' || die "the scratch database could not be made"
	[[ -z $setup ]] || sql "$port" record -f "$setup" >/dev/null || die "$setup failed"
	[[ $(sql "$port" record -c "SELECT 1 FROM pg_publication WHERE pubname = 'cdcsync'") ]] ||
		sql "$port" record -c 'CREATE PUBLICATION cdcsync FOR ALL TABLES' || die "the publication could not be made"
	json=$(connector_json "$node" 127.0.0.1 "$port" record postgres '' "$schemas" "${settings[@]}") || exit 1
	! connector_status "$node" >/dev/null 2>&1 || die "there is a connector $node already" "give another --node"
	STARTED+=("connector:$node")
	# of a recording that failed
	for topic in $(record_topics "$node"); do kafka_admin topic-delete "$topic"; done
	connector_put "$node" "$json"
	connector_wait "$node"

	sql "$port" record -f "$sql" >/dev/null || die "$sql failed"
	# the last word: what precedes it in the WAL precedes it in Kafka
	sql "$port" record -c "SELECT pg_logical_emit_message(true, 'cdcsync_record_end', '')" >/dev/null
	if ! wait_until "the events to arrive" 120 record_complete "$node"; then
		connector_explain "$node"
		die "the events did not arrive" "see $DIR/log/debezium.log"
	fi
	mapfile -t topics < <(record_topics "$node")
	for topic in "${topics[@]}"; do
		record_topic "$topic" |
			jq -c 'select((.payload // "" | contains("\"prefix\":\"cdcsync_record_end\"")) | not)
				| {topic, partition, offset, timestamp: .ts, key, value: .payload, headers: (.headers // [])}' || die "topic $topic could not be read"
	done

	connector_delete "$node"
	for topic in "${topics[@]}"; do kafka_admin topic-delete "$topic"; done
	kafka_admin topic-delete "__debezium-heartbeat.$node" 2>/dev/null
	pg_stop record
	rm -rf "$DIR/nodes/record"
	STARTED=()
	if [[ $own ]]; then
		java_stop debezium
		java_stop kafka
		rm -rf "$DIR"
	fi
}

# a scratch Postgres of its own, on a port that is free; sets port
record_postgres_start() {
	rm -rf "$DIR/nodes/record"
	port=$((BASE_PORT + 105))
	need_free_port "$port" "the scratch Postgres"
	pg_init record
	pg_configure record "$port"
	pg_start record
}

record_topics() { kafka_admin topics | cut -d ' ' -f 1 | grep "^${1//./\\.}\\." | sort; }

record_topic() { kcat -q -J -e -C -b "127.0.0.1:$KAFKA_PORT" -t "$1" -o beginning 2>/dev/null; }

# no more comes of a connector that has failed
record_complete() {
	record_topic "$1.message" | grep -q cdcsync_record_end && return
	! connector_failed "$1" || return 2
	return 1
}
