// The note that all nodes share: one row, so that edits collide.
import {ask} from './api.js';
import {element, flash, setAttribute, setText, stamp} from './dom.js';

export function makeNote(node) {
	const text = element('textarea', {rows: 6, maxlength: 10000, 'aria-label': `Shared note on ${node}`, oninput: () => mark(true)});
	const save = element('button', {type: 'button', onclick: write}, 'Save');
	const revert = element('button', {type: 'button', class: 'quiet', onclick: () => mark(false)}, 'Discard');
	const meta = element('small');
	const panel = element('section', {class: 'note'}, text, element('div', {class: 'row'}, save, revert, meta));
	let note = null;
	let dirty = false;

	// What is being typed is not overwritten: the newer text is shown when it is saved or discarded.
	function mark(isDirty) {
		dirty = isDirty;
		if (!dirty) text.value = note?.body ?? '';
		setAttribute(save, 'disabled', !dirty);
		setAttribute(revert, 'disabled', !dirty);
		setAttribute(panel, 'data-dirty', dirty);
	}

	async function write() {
		const body = text.value;
		if (!await ask('PUT', `/api/nodes/${node}/note`, {body})) return;
		note = {...note, body};
		mark(false);
	}

	panel.show = state => {
		const before = note?.updated_at;
		const first = note === null;
		note = state.note;
		if (!dirty) mark(false);
		if (!first && note?.origin && note.updated_at !== before) flash(panel);
		setText(meta, note ? stamp(note) + (dirty ? ' · you are editing' : '') : 'no note yet');
		setAttribute(meta, 'title', note && `version ${note.updated_at}`);
	};
	mark(false);
	return panel;
}

export function makeRace() {
	return element('button', {type: 'button', onclick: () => ask('POST', '/api/note/race')}, 'Write on all nodes at once');
}
