// One message: as it is in the topic, as a node understands it, and what was decided there.
import {clock, element, setAttribute, setText} from './dom.js';

const SHORT = 800; // characters
const OPERATIONS = {c: 'create', u: 'update', d: 'delete', r: 'snapshot', t: 'truncate', m: 'message', null: 'null value'};

export function makeMessage(message) {
	const here = element('div', {class: 'here'});
	const title = element('h3');
	const progress = element('p', {class: 'progress'});
	const decisions = element('ul', {class: 'decisions'});
	const item = element('li', {},
		element('div', {class: 'raw'}, element('h3', {}, 'In the topic'), makeFacts(factsOf(message)), makeWhole(message)),
		element('div', {}, title, here, progress, decisions));

	here.append(...describe(message.here));
	item.show = ({decided}) => {
		setText(progress, decided ? tellProgress(decided) : '');
		setAttribute(progress, 'data-state', decided?.stopped ? 'stopped' : decided?.read === false ? 'waits' : null);
		if (decisions.told === decided) return;
		decisions.told = decided;
		decisions.replaceChildren(...(decided?.decisions ?? []).map(tellDecision));
	};
	item.at = node => setText(title, `On ${node}`);
	return item;
}

function makeFacts(facts) {
	const list = element('dl');
	for (const [name, value] of facts) list.append(element('dt', {}, name), element('dd', {}, value));
	return list;
}

function factsOf(message) {
	const place = `partition ${message.partition}, offset ${message.offset}`;
	return [
		['Position', place],
		['Time', message.time ? clock(message.time).slice(0, -3) : 'none'],
		['Key', short(message.key)],
		['Value', short(message.value)],
		['Headers', message.headers.length ? message.headers.map(([name, value]) => `${name}: ${short(value)}`).join('\n') : 'none'],
	];
}

function short(part) {
	if (!part) return 'null';
	return part.text.length > SHORT ? `${part.text.slice(0, SHORT)} …` : part.text;
}

// Key and value line by line, with the schemas that came along
function makeWhole({key, value, offset}) {
	const whole = element('details', {}, element('summary', {'aria-label': `All of offset ${offset}, line by line`}, 'Line by line'));
	whole.addEventListener('toggle', () => {
		if (whole.children.length > 1) return;
		for (const [name, part] of [['Key', key], ['Value', value]]) {
			if (!part) continue;
			whole.append(element('h4', {}, `${name}, ${part.size} bytes`), element('pre', {}, indent(part.text) + (part.cut ? '\n…' : '')));
			if (part.schema) whole.append(element('h4', {}, `Schema of the ${name.toLowerCase()}`), element('pre', {}, indent(part.schema)));
		}
	});
	return whole;
}

// JSON with line feeds, each value as it was written: read and printed anew, a large number would be another one.
function indent(text) {
	let depth = 0;
	if (!/^[[{]/.test(text)) return text;
	return text.replace(/"(?:\\.|[^"\\])*"?|[{}[\],:]|\s+/g, (token, at) => {
		if (/^\s/.test(token)) return '';
		if (token === ':') return ': ';
		if (token === ',') return `,\n${'  '.repeat(depth)}`;
		if (token === '{' || token === '[') {
			depth++;
			return /^\s*[}\]]/.test(text.slice(at + 1, at + 20)) ? token : `${token}\n${'  '.repeat(depth)}`;
		}
		if (token === '}' || token === ']') {
			depth--;
			return /[{[]\s*$/.test(text.slice(Math.max(0, at - 20), at)) ? token : `\n${'  '.repeat(Math.max(0, depth))}${token}`;
		}
		return token;
	});
}

// cdcsync.decode(): which rows of which table, and how they change
function describe(here) {
	if (here.error)
		return [element('p', {class: 'error'}, [here.error, here.detail, here.hint].filter(Boolean).join(' '))];
	const said = [OPERATIONS[here.op] ?? here.op];
	if (here.source_table) said.push(`of ${here.source_table}`);
	if (here.peer) said.push(`by ${here.peer}`);
	const facts = [
		['Table here', here.table ?? 'none that is registered'],
		['Changed at', here.source_time ? clock(here.source_time) : null],
		['Origin', here.origin],
		['Key', here.key_row && Object.entries(here.key_row).map(([name, value]) => `${name} ${value}`).join(', ')],
	].filter(([, value]) => value);
	const rows = here.before_row || here.after_row ? [makeRows(here.before_row, here.after_row)] : [];
	return [element('p', {class: 'meaning'}, said.join(' ')), makeFacts(facts), ...rows];
}

function makeRows(before, after) {
	const names = Object.keys({...before, ...after});
	const cell = (row, name) => !row || !(name in row) ? '' : row[name] === null ? 'NULL' : String(row[name]);
	const body = names.map(name => element('tr', {'data-changed': before && after && before[name] !== after[name]},
		element('th', {scope: 'row'}, name), element('td', {}, cell(before, name)), element('td', {}, cell(after, name))));
	return element('table', {},
		element('thead', {}, element('tr', {}, ...['Column', 'Before', 'After'].map(name => element('th', {scope: 'col'}, name)))),
		element('tbody', {}, ...body));
}

function tellProgress({read, stopped, decisions}) {
	if (stopped) return `It stopped here: ${stopped}`;
	if (read === null) return 'Not read here.';
	if (!read) return 'Still to be read.';
	return decisions.length ? 'Read.' : 'Read, no conflict on record.';
}

function tellDecision(decision) {
	const versions = [['here', decision.local_version, decision.local_origin], ['of the event', decision.remote_version, null]]
		.filter(([, version]) => version)
		.map(([whose, version, origin]) => `${whose} ${clock(version)}${origin ? ` by ${origin}` : ''}`);
	return element('li', {}, element('strong', {}, `${decision.type}: ${decision.resolution}`), versions.length ? element('small', {}, ` versions: ${versions.join(', ')}`) : '');
}
