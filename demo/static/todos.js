// The todos of one node.
import {ask} from './api.js';
import {element, flash, keepList, setAttribute, setText, stamp} from './dom.js';

export function makeTodos(node) {
	const list = element('ul', {class: 'todos', 'aria-label': `Todos on ${node}`});
	const more = element('p', {class: 'more'});
	const panel = element('section', {}, makeForm(node), list, more);
	let seen = null; // versions, to tell what came by sync

	panel.show = state => {
		keepList(list, state.todos, todo => `${todo.client_id}/${todo.id}`, todo => makeTodo(node, todo));
		const now = new Map(state.todos.map(todo => [`${todo.client_id}/${todo.id}`, todo]));
		if (seen)
			for (const item of list.children) {
				const todo = now.get(item.dataset.key);
				if (todo.origin && seen.get(item.dataset.key)?.updated_at !== todo.updated_at) flash(item);
			}
		seen = now;
		const hidden = state.count - state.todos.length;
		setText(more, hidden ? `… and ${hidden} more` : state.count ? '' : 'No todos yet: write one above.');
	};
	return panel;
}

function makeForm(node) {
	const title = element('input', {
		name: 'title', required: true, maxlength: 500, autocomplete: 'off', placeholder: 'What is to be done?', 'aria-label': `New todo on ${node}`,
	});
	const description = element('input', {
		name: 'description', maxlength: 10000, autocomplete: 'off', placeholder: 'Details (optional)', 'aria-label': `Details of the new todo on ${node}`,
	});
	const form = element('form', {class: 'add', onsubmit: submit}, title, description, element('button', {}, 'Add'));

	async function submit(event) {
		event.preventDefault();
		const done = await ask('POST', `/api/nodes/${node}/todos`, {title: title.value, description: description.value || null});
		if (done) form.reset();
		title.focus();
	}
	return form;
}

function makeTodo(node, first) {
	const path = `/api/nodes/${node}/todos/${first.client_id}/${first.id}`;
	const done = element('input', {type: 'checkbox', onchange: () => ask('PATCH', path, {completed: done.checked})});
	const title = element('strong');
	const description = element('span', {class: 'description'});
	const meta = element('small');
	const edit = element('button', {type: 'button', class: 'quiet', onclick: () => startEdit()}, 'Edit');
	const remove = element('button', {type: 'button', class: 'quiet', onclick: () => ask('DELETE', path)}, 'Delete');
	const shown = element('div', {class: 'todo'}, done, element('div', {class: 'text'}, title, description, meta), edit, remove);
	const item = element('li', {}, shown);
	let todo = first;

	item.show = next => {
		todo = next;
		done.checked = todo.completed;
		setAttribute(done, 'aria-label', `Completed: ${todo.title}`);
		setAttribute(edit, 'aria-label', `Edit: ${todo.title}`);
		setAttribute(remove, 'aria-label', `Delete: ${todo.title}`);
		setText(title, todo.title);
		setText(description, todo.description ?? '');
		setText(meta, stamp(todo));
		setAttribute(meta, 'title', `version ${todo.updated_at}; key (${todo.id}, ${todo.client_id})`);
	};

	function startEdit() {
		const form = makeEdit(todo, async changes => {
			if (!Object.keys(changes).length || await ask('PATCH', path, changes)) stopEdit(form);
		}, () => stopEdit(form));
		shown.hidden = true;
		item.append(form);
		form.elements.title.select();
	}

	function stopEdit(form) {
		form.remove();
		shown.hidden = false;
		edit.focus();
	}
	return item;
}

// Sends only what was changed: another node's edit of another column is still overwritten, for a row is one version.
function makeEdit(todo, save, cancel) {
	const title = element('input', {name: 'title', required: true, maxlength: 500, value: todo.title, 'aria-label': 'Title'});
	const description = element('input', {name: 'description', maxlength: 10000, value: todo.description ?? '', 'aria-label': 'Details'});
	const form = element('form', {
		class: 'edit',
		onsubmit: event => {
			event.preventDefault();
			const changes = {};
			if (title.value !== todo.title) changes.title = title.value;
			if (description.value !== (todo.description ?? '')) changes.description = description.value || null;
			save(changes);
		},
		onkeydown: event => {
			if (event.key === 'Escape') cancel();
		},
	}, title, description, element('button', {}, 'Save'), element('button', {type: 'button', class: 'quiet', onclick: cancel}, 'Cancel'));
	return form;
}
