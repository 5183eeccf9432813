// The topics: where they end and how far each reader is; the last messages of one, and what a node makes of them.
import {element, flash, keepList, setAttribute, setText} from './dom.js';
import {makeMessage} from './message.js';

const SHOWN = 20;

export function makeTopics(panel) {
	const error = element('p', {class: 'error', role: 'status', hidden: true});
	const read = element('ul', {class: 'topics', 'aria-label': 'Topics that nodes read'});
	const others = element('ul', {class: 'topics', 'aria-label': 'Other topics'});
	const rest = element('details', {class: 'history'}, element('summary', {}, 'Other topics'), others);
	const title = element('h2', {id: 'topic'});
	const reader = element('select', {id: 'reader', onchange: () => choose(topic, reader.value)});
	const label = element('label', {}, 'as understood on ', reader);
	const none = element('p', {class: 'more'});
	const list = element('ol', {class: 'messages', 'aria-label': 'Messages, the newest first'});
	const shown = element('section', {'aria-labelledby': 'topic', hidden: true}, element('div', {class: 'head'}, title, label), none, list);
	panel.append(error, element('div', {class: 'columns'}, element('section', {'aria-label': 'All topics'}, read, rest), shown));

	let overview = {topics: [], error: null};
	let topic = null;
	let node = null;
	let nodes = [];
	let events = null;
	let messages = new Map();

	function connect() {
		events?.close();
		const asked = new URLSearchParams(topic ? {topic, node} : {});
		events = new EventSource(`/events/topics?${asked}`);
		const hear = (name, act) => events.addEventListener(name, event => act(JSON.parse(event.data)));
		hear('topics', show);
		hear('begin', () => {
			messages = new Map();
			showMessages();
		});
		hear('message', message => {
			messages.set(keyOf(message), message);
			showMessages(true);
		});
		hear('decided', decided => {
			const message = messages.get(keyOf(decided));
			if (message) Object.assign(message, {decided});
			showMessages();
		});
	}

	function show(now) {
		overview = now;
		setText(error, now.error ?? '');
		setAttribute(error, 'hidden', !now.error);
		for (const [target, wanted] of [[read, true], [others, false]]) {
			const items = now.topics.filter(each => (each.readers.length > 0) === wanted);
			keepList(target, items, each => each.name, each => makeTopic(each.name, name => choose(name, null, true)));
			for (const item of target.children) item.mark(topic);
		}
		setAttribute(rest, 'hidden', !others.children.length);
		showReaders();
		showMessages();
	}

	// The nodes that read the topic; if none does, all of them
	function showReaders() {
		const known = overview.topics.find(each => each.name === topic)?.readers.map(each => each.node) ?? [];
		const names = known.length ? [...new Set(known)] : nodes;
		keepList(reader, names, name => name, name => Object.assign(element('option', {value: name}, name), {show() {}}));
		reader.value = node ?? '';
	}

	function showMessages(came) {
		const newest = [...messages.values()].sort((a, b) => a.time < b.time ? 1 : a.time > b.time ? -1 : b.partition - a.partition || b.offset - a.offset).slice(0, SHOWN);
		messages = new Map(newest.map(message => [keyOf(message), message]));
		keepList(list, newest, keyOf, makeMessage);
		for (const item of list.children) item.at(node);
		if (came && newest.length) flash(list.firstElementChild);
		const there = overview.topics.find(each => each.name === topic)?.partitions.length;
		setText(none, newest.length || !topic ? '' : there || overview.error ? 'No messages.' : 'There is no such topic: Kafka makes it with its first message.');
	}

	function choose(name, as, look) {
		topic = name;
		const readers = overview.topics.find(each => each.name === name)?.readers ?? [];
		node = as ?? readers[0]?.node ?? nodes[0];
		messages = new Map();
		setText(title, name);
		shown.hidden = false;
		show(overview);
		connect();
		if (look && shown.getBoundingClientRect().top > innerHeight / 2) shown.scrollIntoView();
	}

	return {
		show(names, visible) {
			nodes = names;
			if (visible && !events) connect();
			if (!visible) {
				events?.close();
				events = null;
			}
		},
	};
}

function keyOf({partition, offset}) {
	return `${partition}/${offset}`;
}

function makeTopic(name, choose) {
	const button = element('button', {type: 'button', class: 'quiet', onclick: () => choose(name)}, name);
	const ends = element('span', {class: 'ends'});
	const readers = element('ul', {class: 'readers', 'aria-label': `Readers of ${name}`});
	const item = element('li', {}, button, ends, readers);

	item.show = ({partitions, readers: rows}) => {
		setText(ends, partitions.length ? partitions.map(partition => describeEnds(partition, partitions.length)).join(' · ') : 'not there');
		keepList(readers, rows, row => `${row.node}/${row.subscription}/${row.partition}`, makeReader);
	};
	item.mark = chosen => setAttribute(button, 'aria-pressed', chosen === name ? 'true' : 'false');
	return item;
}

function describeEnds({partition, first, end}, of) {
	return `${of > 1 ? `partition ${partition}: ` : ''}${first ? `from ${first} ` : ''}end ${end}`;
}

function makeReader() {
	const text = element('span');
	const error = element('span', {class: 'error'});
	const item = element('li', {}, text, error);

	item.show = row => {
		setText(text, `${row.node}${row.partition ? `, partition ${row.partition}` : ''}: ${row.state}, lag ${row.lag ?? '?'}`);
		setAttribute(item, 'data-behind', row.lag !== 0);
		setText(error, row.error ? ` ${row.error}` : '');
	};
	return item;
}
