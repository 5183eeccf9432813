#!/usr/bin/env bash
# init-node.sh: makes an empty database a node: the demo's tables, the extension, Debezium's role, subscriptions.
#
# The postgres image runs it once, on a new data directory, with POSTGRES_USER and POSTGRES_DB. Further it needs
# NODE_NUMBER (0 the server; without it, nothing is done), PEERS (names of the nodes to read, separated by spaces) and
# DEBEZIUM_PASSWORD.
set -euo pipefail
[[ ${NODE_NUMBER-} ]] || exit 0

SCHEMA=${SCHEMA:-/usr/local/share/cdcsync/schema.sql}

psql -Xq -o /dev/null -v ON_ERROR_STOP=1 --single-transaction -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
	-v node="$NODE_NUMBER" -v peers="$PEERS" -v password="$DEBEZIUM_PASSWORD" -f "$SCHEMA" -f - <<'EOF'
SET log_min_duration_statement = -1;
SET log_statement = 'none';	-- no password in the log
CREATE ROLE debezium LOGIN REPLICATION PASSWORD :'password';
GRANT SELECT ON todos, shared_note TO debezium;

CREATE EXTENSION cdcsync;
SELECT cdcsync.add_table(relation, version_column => 'updated_at') FROM unnest('{todos,shared_note}'::regclass[]) AS relation;
SELECT cdcsync.subscribe(peer, topics => ARRAY[peer || '.public.todos', peer || '.public.shared_note'])
FROM regexp_split_to_table(:'peers', '\s+') AS peer;

INSERT INTO todos (title, description)
SELECT 'Change me on any node', 'Written on the server at its start; every client gets it.' WHERE :node = 0;
INSERT INTO shared_note (id, body) SELECT 1, 'One row for all nodes.' WHERE :node = 0;
EOF
