// Elements, and lists of them that are kept as their data change.

// element('button', {type: 'button', onclick: f, 'aria-label': '…'}, 'text', child …)
export function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
		else setAttribute(made, name, value);
	}
	made.append(...children);
	return made;
}

// Only what differs is touched: what has the focus, or is being read out, stays as it is.
export function setAttribute(target, name, value) {
	if (value === null || value === undefined || value === false) target.removeAttribute(name);
	else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value === true ? '' : value);
}

export function setText(target, text) {
	if (target.textContent !== text) target.textContent = text;
}

// One child per item, found again by its key; child.show(item) brings it up to date.
export function keepList(parent, items, keyOf, make) {
	const old = new Map([...parent.children].map(child => [child.dataset.key, child]));
	let at = parent.firstElementChild;
	for (const item of items) {
		const key = keyOf(item);
		const child = old.get(key) ?? make(item);
		old.delete(key);
		child.dataset.key = key;
		child.show(item);
		if (child === at) at = at.nextElementSibling;
		else parent.insertBefore(child, at);
	}
	for (const child of old.values()) child.remove();
}

// A row that came by sync lights up.
export function flash(target) {
	target.classList.remove('flash');
	void target.offsetWidth; // begins the animation anew
	target.classList.add('flash');
}

// When a row was written last, and by whom
export function stamp(row) {
	return `${clock(row.updated_at)} · ${row.origin ? `from ${row.origin}` : 'written here'}`;
}

export function clock(version) {
	const at = new Date(version);
	const two = number => String(number).padStart(2, '0');
	const micro = /\.(\d+)/.exec(version)?.[1].padEnd(6, '0') ?? '000000';
	return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${micro}`;
}
