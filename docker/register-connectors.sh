#!/usr/bin/env bash
# register-connectors.sh HOST[:PORT]…: a Debezium connector for each of these nodes, and waits until they run.
#
# Each database says itself how its connector has to be, cdcsync.connector_config(). What is there already is set again, which
# changes nothing if it is the same. Environment: CONNECT (Kafka Connect's address), POSTGRES_USER, POSTGRES_DB, PGPASSWORD,
# CONNECTOR_PASSWORD (a reference that Kafka Connect resolves; empty: none), TIMEOUT (seconds).
set -euo pipefail

CONNECT=${CONNECT:-http://connect:8083}
# shellcheck disable=SC2016  # Kafka Connect's words
CONNECTOR_PASSWORD=${CONNECTOR_PASSWORD-'${env:DEBEZIUM_PASSWORD}'}
deadline=$((SECONDS + ${TIMEOUT:-180}))

say() { printf 'register-connectors: %s\n' "$*"; }
request() { curl -sS --noproxy '*' --fail-with-body --max-time 60 "$@" 2>&1; }

# repeat WHAT COMMAND…: until it succeeds or the time is over
repeat() {
	local what=$1 answer
	shift
	until answer=$("$@"); do
		if ((SECONDS > deadline)); then
			say "$what: ${answer:-no answer}" >&2
			exit 1
		fi
		sleep 1
	done
	printf '%s' "$answer"
}

# config of HOST PORT, as "name", a line feed, and JSON
config() {
	PGOPTIONS='-c client_min_messages=error' psql -XqAt -F $'\n' -v ON_ERROR_STOP=1 -h "$1" -p "$2" -U "${POSTGRES_USER:-postgres}" -d "${POSTGRES_DB:-app}" \
		-v host="$1" -v port="$2" -v password="$CONNECTOR_PASSWORD" -f - 2>&1 <<-'EOF'
			SELECT c ->> 'name', c -> 'config'
			FROM cdcsync.connector_config(:'host', :'port'::int, password => nullif(:'password', '')) AS c
		EOF
}

# "state" of the connector and its one task: both RUNNING
runs() {
	local answer
	answer=$(request "$CONNECT/connectors/$1/status") || return
	[[ $(grep -o '"state":"RUNNING"' <<<"$answer" | wc -l) == 2 ]] && return
	printf '%s' "$answer"
	return 1
}

(($# > 0)) || { say "which nodes? HOST[:PORT]…" >&2; exit 2; }
names=()
for node in "$@"; do
	port=5432
	[[ $node == *:* ]] && port=${node##*:}
	answer=$(repeat "$node" config "${node%:*}" "$port")
	name=${answer%%$'\n'*}
	repeat "connector $name" request -o /dev/null -X PUT -H 'Content-Type: application/json' \
		--data-binary "${answer#*$'\n'}" "$CONNECT/connectors/$name/config"
	names+=("$name")
done
for name in "${names[@]}"; do
	repeat "connector $name" runs "$name"
	say "connector $name runs"
done
