// All nodes, as the server tells of them.
import {say} from './api.js';
import {element, setAttribute} from './dom.js';
import {makeNode} from './node.js';
import {makeRace} from './note.js';
import {makeTopics} from './topics.js';

const EXPLAIN = {
	todos: 'Each column is a database of its own. What you write in one is sent through Debezium and Kafka, and lights up where it arrives. Switch a client off, edit the same todo on two nodes, switch it on: the later edit stands everywhere.',
	note: 'One row that every node has. Write it on several nodes at once, or while a client is offline: the later text stands, the other is on record below and can be taken back.',
	topics: 'What Debezium wrote to Kafka, where each topic ends and how far each node has read it. Choose a topic to see its last messages as they come, what each means to a node (cdcsync.decode), and what that decided.',
};
const board = document.getElementById('board');
const view = document.getElementById('view');
const tabs = ['todos', 'note', 'topics'].map(name => document.getElementById(`tab-${name}`));
const race = makeRace();
const topics = makeTopics(document.getElementById('topics'));
const states = new Map();
let tab = 'todos';
let connected = false;

function show() {
	for (const [name, state] of states) {
		let node = document.getElementById(`column-${name}`);
		if (!node) {
			node = makeNode(name);
			node.id = `column-${name}`;
			board.append(node);
			view.append(element('option', {value: name}, name));
		}
		setAttribute(node, 'hidden', view.value !== '' && view.value !== name);
		if (tab !== 'topics') node.show(state, tab);
	}
	topics.show([...states.keys()], tab === 'topics');
	setAttribute(board, 'hidden', tab === 'topics');
	setAttribute(document.getElementById('topics'), 'hidden', tab !== 'topics');
	setAttribute(document.getElementById('view-label'), 'hidden', tab === 'topics');
	for (const button of tabs) {
		const chosen = button.id === `tab-${tab}`;
		setAttribute(button, 'aria-selected', chosen ? 'true' : 'false');
		setAttribute(button, 'tabindex', chosen ? '0' : '-1');
	}
	if (tab !== 'topics') setAttribute(board, 'aria-labelledby', `tab-${tab}`);
	const explain = document.getElementById('explain');
	if (explain.dataset.tab !== tab) {
		explain.dataset.tab = tab;
		explain.replaceChildren(EXPLAIN[tab], ...(tab === 'note' ? [' ', race] : []));
	}
}

function choose(name) {
	tab = name;
	show();
}

for (const button of tabs) {
	const name = button.id.slice('tab-'.length);
	button.addEventListener('click', () => choose(name));
	button.addEventListener('keydown', event => {
		const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
		if (!step) return;
		const other = tabs.at((tabs.indexOf(button) + step) % tabs.length);
		choose(other.id.slice('tab-'.length));
		other.focus();
	});
}
view.addEventListener('change', show);

const events = new EventSource('/events');
events.onmessage = event => {
	const state = JSON.parse(event.data);
	states.set(state.name, state);
	if (!connected) say('');
	connected = true;
	show();
};
events.onerror = () => {
	connected = false;
	say('The demo application does not answer. Start it again: make run');
};
