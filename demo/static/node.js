// One node: its state, its switch, its rows, its conflicts.
import {ask} from './api.js';
import {makeConflicts} from './conflicts.js';
import {element, setAttribute, setText} from './dom.js';
import {makeNote} from './note.js';
import {makeTodos} from './todos.js';

const PATIENCE = 5000; // ms
const TABLES = {todos: 'todos', note: 'shared_note'};

export function makeNode(name) {
	const title = element('h2', {id: `node-${name}`}, name);
	const toggle = makeSwitch(name);
	const state = element('p', {class: 'state'});
	const pending = element('p', {class: 'pending'});
	const error = element('p', {class: 'error', role: 'status'});
	const panels = {todos: makeTodos(name), note: makeNote(name)};
	const conflicts = makeConflicts(name);
	const content = element('div', {class: 'content'}, panels.todos, panels.note, conflicts);
	const node = element('article', {class: 'node', 'aria-labelledby': `node-${name}`},
		element('div', {class: 'head'}, title, toggle), state, pending, error, content);

	node.show = (now, tab) => {
		const up = !now.error;
		const problem = [now.error, now.sending.error, ...problems(now)].filter(Boolean).join(' ');
		setText(error, problem);
		setAttribute(error, 'hidden', !problem);
		setAttribute(node, 'data-state', !up ? 'down' : now.online === false ? 'offline' : problem ? 'trouble' : 'online');
		setText(state, up ? describe(now) : 'down');
		setText(pending, up ? `To send ${now.pending.out}, to receive ${now.pending.in}` : '');
		setAttribute(pending, 'data-pending', up && now.pending.out + now.pending.in > 0);
		toggle.show(now);
		setAttribute(content, 'hidden', !up);
		if (!up) return;
		for (const [key, panel] of Object.entries(panels)) {
			setAttribute(panel, 'hidden', key !== tab);
			panel.show(now);
		}
		conflicts.show(now, TABLES[tab]);
	};
	return node;
}

// The server has none: it is where the clients meet.
function makeSwitch(name) {
	const box = element('input', {type: 'checkbox', role: 'switch', 'aria-label': `${name} online`, onchange: change});
	const label = element('span');
	const toggle = element('label', {class: 'switch'}, box, label);
	let state;
	let wanted = null; // what was asked for is shown until the node is so

	async function change() {
		wanted = box.checked;
		setText(label, wanted ? 'going online …' : 'going offline …');
		setAttribute(box, 'disabled', true);
		const done = await ask('POST', `/api/nodes/${name}/${wanted ? 'online' : 'offline'}`);
		setAttribute(box, 'disabled', false);
		setTimeout(settle, done ? PATIENCE : 0);
	}

	function settle() {
		wanted = null;
		toggle.show(state);
	}

	toggle.show = now => {
		state = now;
		setAttribute(toggle, 'hidden', now.number === 0 || now.online === undefined);
		if (wanted !== null && wanted !== now.online) return;
		wanted = null;
		box.checked = now.online !== false;
		setText(label, now.online === null ? 'in between' : now.online ? 'online' : 'offline');
	};
	return toggle;
}

function describe(now) {
	const states = [...new Set(now.subscriptions.map(subscription => subscription.state))];
	// what is paused has heard of an end long ago
	const known = now.subscriptions.every(({state, lag}) => state !== 'paused' && lag !== null);
	const lag = known ? now.subscriptions.reduce((sum, {lag}) => sum + lag, 0) : '?';
	return `receiving: ${states.join(', ') || 'no subscription'}, lag ${lag} · sending: ${now.sending.state.toLowerCase()}`;
}

// A fault that is over leaves its last error: only states tell.
function problems(now) {
	return (now.subscriptions ?? [])
		.filter(subscription => subscription.state === 'error' || subscription.state === 'waiting')
		.map(subscription => `${subscription.topic}: ${subscription.last_error}.`);
}
