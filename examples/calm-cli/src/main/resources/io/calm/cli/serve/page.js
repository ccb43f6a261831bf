'use strict';

// Everything that comes from elsewhere is shown as text, never as markup.

const at = (id) => document.getElementById(id);

const ENDS = {
	stop: 'finished: the text is at its end',
	length: 'finished: as many tokens as asked for',
};

let model = null;
let writing = null;

function element(name, text, className) {
	const made = document.createElement(name);
	made.textContent = text;
	made.className = className;
	return made;
}

function headers() {
	const key = at('key').value.trim();
	return { 'Content-Type': 'application/json', ...(key && { Authorization: 'Bearer ' + key }) };
}

/** What the form asks for. A field that is empty is as the service has it. */
function order() {
	const number = (id) => at(id).value.trim() === '' ? undefined : Number(at(id).value);
	return {
		model: model || undefined,
		prompt: at('prompt').value,
		temperature: number('temperature'),
		max_tokens: number('tokens'),
		...(at('exact').checked ? { exact: true } : { candidates: number('candidates') }),
	};
}

/** The data of server-sent events, one after the other. */
async function* events(response) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '';
	for (;;) {
		const { done, value } = await reader.read();
		if (done) {
			return;
		}
		const lines = (rest + value).split('\n');
		rest = lines.pop();
		for (const line of lines) {
			if (line.startsWith('data: ') && line !== 'data: [DONE]') {
				yield JSON.parse(line.slice('data: '.length));
			}
		}
	}
}

async function write() {
	if (writing) {
		return;
	}
	const text = { started: performance.now(), abort: new AbortController(), steps: 0 };
	begin(text);
	try {
		const response = await fetch('v1/completions', {
			method: 'POST',
			headers: headers(),
			signal: text.abort.signal,
			body: JSON.stringify({ ...order(), stream: true, stream_options: { include_usage: true } }),
		});
		if (!response.ok) {
			await refused(text, response);
			return;
		}
		for await (const event of events(response)) {
			received(text, event);
		}
		if (!text.outcome) {
			throw new Error('The connection ended before the text did.');
		}
	}
	catch (failure) {
		if (failure.name === 'AbortError') {
			text.outcome = 'stopped';
		}
		else {
			failed(text, failure instanceof TypeError ? 'The service does not answer. Is it still running?' : failure.message);
		}
	}
	finally {
		end(text);
	}
}

function begin(text) {
	writing = text;
	at('error').hidden = true;
	at('go').disabled = true;
	at('stop').disabled = false;
	at('text').classList.add('writing');
	at('text').replaceChildren(element('span', at('prompt').value, 'prompt'));
	outcome('waiting for the service');
	figures(text);
}

function received(text, event) {
	if (event.error) {
		failed(text, event.error.message);
		return;
	}
	if (event.usage) {
		text.tokens = event.usage.completion_tokens;
	}
	for (const choice of event.choices) {
		if (choice.text) {
			text.steps++;
			text.latestAt = performance.now();
			if (!text.firstAt) {
				text.firstAt = text.latestAt;
				outcome('writing');
			}
			at('text').append(element('span', choice.text, text.steps % 2 ? 'step' : 'step odd'));
			at('text').parentElement.scrollTop = at('text').parentElement.scrollHeight;
		}
		if (choice.finish_reason) {
			text.outcome = ENDS[choice.finish_reason];
		}
	}
	figures(text);
}

function figures(text) {
	at('steps').textContent = text.steps;
	at('count').textContent = text.tokens ?? '–';
	at('speed').textContent = text.tokens && text.firstAt
		? Math.round(1000 * text.tokens / (text.latestAt - text.started)) : '–';
	at('first').textContent = text.firstAt ? Math.round(text.firstAt - text.started) + ' ms' : '–';
}

function outcome(words) {
	at('outcome').textContent = words;
	at('status').textContent = words;
}

async function refused(text, response) {
	if (response.status === 401) {
		askForKey();
	}
	const body = await response.json().catch(() => ({}));
	failed(text, body.error ? 'The service refused the request: ' + body.error.message + '.'
		: 'The service answered with status ' + response.status + '.');
}

function failed(text, message) {
	text.outcome = 'failed';
	at('error').textContent = message;
	at('error').hidden = false;
}

function end(text) {
	writing = null;
	at('go').disabled = false;
	at('stop').disabled = true;
	at('text').classList.remove('writing');
	outcome(text.outcome);
	showModel();
}

function stop() {
	if (writing) {
		// the service notices that nobody listens, and ends the text
		writing.abort.abort();
	}
}

function askForKey() {
	if (at('key-field').hidden) {
		at('key-field').hidden = false;
		at('key').focus();
	}
}

async function showModel() {
	try {
		const response = await fetch('v1/models', { headers: headers() });
		if (response.status === 401) {
			askForKey();
			health('bad', 'a key is needed');
			return;
		}
		model = (await response.json()).data[0].id;
		at('model').textContent = model;
		health('good', model);
	}
	catch (failure) {
		health('bad', 'the service does not answer');
	}
	showCommand();
}

function health(kind, words) {
	at('health').dataset.kind = kind;
	at('health-text').textContent = words;
}

/** For a shell, in which a single quote ends a string. */
function showCommand() {
	const address = new URL('v1', document.baseURI).href;
	at('address').textContent = address;
	const json = JSON.stringify(order()).replaceAll("'", "'\\''");
	at('command').textContent = "curl '" + address + "/completions' \\\n  -H 'Content-Type: application/json' \\\n"
		+ (at('key').value ? "  -H \"Authorization: Bearer $CALM_API_KEY\" \\\n" : '') + "  -d '" + json + "'";
}

at('form').addEventListener('submit', (event) => {
	event.preventDefault();
	write();
});
at('form').addEventListener('input', () => {
	at('temperature-shown').textContent = at('temperature').value;
	at('candidates').disabled = at('exact').checked;
	showCommand();
});
at('key').addEventListener('change', showModel);
at('stop').addEventListener('click', stop);
document.addEventListener('keydown', (event) => {
	if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
		event.preventDefault();
		write();
	}
	else if (event.key === 'Escape') {
		stop();
	}
});

showCommand();
showModel();
