// What the page asks of the server; a failure becomes a sentence on the page.

const message = document.getElementById('message');

export function say(text) {
	message.textContent = text;
	message.hidden = !text;
}

// True if it was done
export async function ask(method, path, body) {
	let answer;
	try {
		answer = await fetch(path, {
			method,
			headers: body ? {'Content-Type': 'application/json'} : {},
			body: body && JSON.stringify(body),
		});
	} catch {
		say('The demo application does not answer. Start it again: make run');
		return false;
	}
	say(answer.ok ? '' : await reason(answer));
	return answer.ok;
}

async function reason(answer) {
	try {
		const {error, detail} = await answer.json();
		return error ?? (Array.isArray(detail) ? detail.map(item => item.msg).join('; ') : detail);
	} catch {
		return `The demo application failed (status ${answer.status}).`;
	}
}
