// The conflicts that a node has on record, and the way back.
import {ask} from './api.js';
import {clock, element, keepList, setAttribute, setText} from './dom.js';

export function makeConflicts(node) {
	const list = element('ol', {class: 'conflicts', 'aria-label': `Conflicts on ${node}`});
	const title = element('summary');
	const panel = element('details', {class: 'history'}, title, list);

	panel.show = (state, table) => {
		const conflicts = state.conflicts.filter(conflict => conflict.table === table);
		if (conflicts.length > list.children.length) panel.open = true;
		setText(title, conflicts.length ? `Conflicts: ${conflicts.length}` : 'No conflicts');
		keepList(list, conflicts, conflict => String(conflict.id), conflict => makeConflict(node, conflict));
		for (const item of list.children) item.compare(current(state, item.conflict));
	};
	return panel;
}

// The row of the conflict as it is now
function current(state, {table, key}) {
	return table === 'todos' ? state.todos.find(todo => todo.id === key.id && todo.client_id === key.client_id) : state.note;
}

function makeConflict(node, conflict) {
	const won = conflict.resolution === 'apply_remote' ? 'remote' : 'local';
	const sides = {
		local: makeSide(`on ${node}`, conflict.local_row, conflict.local_version, won === 'local', conflict.local_origin ?? node),
		remote: makeSide('arrived', conflict.remote_row, conflict.remote_version, won === 'remote', conflict.remote_origin),
	};
	const buttons = Object.entries(sides).map(([choice, side]) => {
		const button = element('button', {
			type: 'button', class: 'quiet',
			onclick: () => ask('POST', `/api/nodes/${node}/conflicts/${conflict.id}/resolve`, {choice}),
		});
		side.append(button);
		return {choice, button};
	});
	const item = element('li', {}, element('span', {class: 'type'}, `${conflict.conflict_type}, ${clock(conflict.at)}`), sides.local, sides.remote);

	item.conflict = conflict;
	item.show = () => {};
	item.compare = row => {
		const stands = {local: same(conflict.local_row, row), remote: same(conflict.remote_row, row)};
		const text = stands.local || stands.remote ? 'Take the other' : 'Take this'; // edited since: neither stands
		for (const {choice, button} of buttons) {
			setAttribute(sides[choice], 'data-stands', stands[choice]);
			setAttribute(button, 'hidden', stands[choice]);
			setText(button, text);
			setAttribute(button, 'aria-label', `${text}: ${name(conflict[`${choice}_row`])}`);
		}
	};
	return item;
}

function makeSide(where, row, version, won, writer) {
	return element('div', {class: 'side'},
		element('span', {class: 'who'}, `${where}${writer ? `, by ${writer}` : ''}${won ? ' · won' : ''}`, element('span', {class: 'stands'}, ' · stands now')),
		element('span', {class: 'what'}, name(row)),
		element('small', {title: `version ${version}`}, version ? clock(version) : ''));
}

function name(row) {
	if (!row) return '(deleted)';
	if ('body' in row) return row.body;
	return [row.title, row.description, row.completed && 'completed'].filter(Boolean).join(' · ');
}

// but for the version, which a row that was taken back has anew
function same(row, now) {
	if (!row || !now) return !row && !now;
	return ['title', 'description', 'completed', 'body'].every(column => !(column in row) || row[column] === now[column]);
}
