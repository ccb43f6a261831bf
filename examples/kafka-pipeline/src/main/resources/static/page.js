'use strict';

// Everything that comes from elsewhere is shown as text, never as markup.

const at = (id) => document.getElementById(id);

const FINISH_REASONS = {
	END: 'finished: the story is at its end',
	STOP: 'finished: a stop string came',
	LENGTH: 'finished: as many tokens as asked for',
	DEADLINE: 'ended: its deadline passed',
	CANCELLED: 'cancelled',
};

const STORY_ENDS = { END: 'finished', LENGTH: 'cut at its length', STOP: 'finished', CANCELLED: 'cancelled' };

let writing = null;

function element(name, text, className) {
	const made = document.createElement(name);
	made.textContent = text;
	if (className) {
		made.className = className;
	}
	return made;
}

/** Server-sent events of a response, one after the other. */
async function* events(response) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '';
	for (;;) {
		const { done, value } = await reader.read();
		if (done) {
			return;
		}
		const blocks = (rest + value).split('\n\n');
		rest = blocks.pop();
		for (const block of blocks) {
			const lines = block.split('\n');
			const field = (name) => lines.filter((line) => line.startsWith(name + ':'))
				.map((line) => line.slice(name.length + 1)).join('\n');
			if (field('data')) {
				yield { name: field('event').trim(), data: JSON.parse(field('data')) };
			}
		}
	}
}

/* One text */

async function write() {
	if (writing) {
		return;
	}
	const text = { model: at('model').value, started: performance.now(), abort: new AbortController() };
	begin(text);
	try {
		const response = await fetch('texts', {
			method: 'POST',
			headers: { 'Content-Type': 'application/json' },
			signal: text.abort.signal,
			body: JSON.stringify({
				model: text.model || null,
				prompt: at('prompt').value,
				temperature: number('temperature'),
				exact: at('exact').checked,
				candidates: at('exact').checked ? null : number('candidates'),
				maxNewTokens: number('tokens'),
			}),
		});
		if (!response.ok) {
			throw new Error('The application refused the request. Look at the numbers of the form: N and the tokens are whole numbers.');
		}
		for await (const event of events(response)) {
			received(text, event);
		}
		if (!text.outcome) {
			throw new Error('The connection ended before the text did.');
		}
	}
	catch (failure) {
		failed(text, failure instanceof TypeError || failure.name === 'AbortError'
			? 'The application does not answer. Is it still running?' : failure.message);
	}
	finally {
		end(text);
	}
}

function number(id) {
	const value = at(id).value.trim();
	return value === '' ? null : Number(value);
}

function begin(text) {
	writing = text;
	text.tokens = 0;
	text.patches = 0;
	at('error').hidden = true;
	at('go').disabled = true;
	at('cancel').disabled = false;
	const sheet = at('text');
	sheet.classList.add('writing');
	sheet.replaceChildren(element('span', at('prompt').value, 'prompt'));
	outcome('waiting for the service');
	figures(text);
}

function received(text, { name, data }) {
	if (name === 'begun') {
		text.id = data.id;
		if (text.unwanted) {
			askToCancel(text);
		}
	}
	else if (name === 'chunk') {
		chunk(text, data);
	}
	else if (name === 'end') {
		text.tokens = data.completionTokens;
		text.outcome = FINISH_REASONS[data.finishReason] || data.status;
		text.cancelled = data.status === 'CANCELLED';
		figures(text);
	}
	else if (name === 'failure') {
		failed(text, data.message);
	}
}

function chunk(text, data) {
	const sheet = at('text');
	if (data.seq === 0) {
		// also when it is not the first: another attempt says it all anew
		sheet.replaceChildren(sheet.firstChild);
		text.tokens = 0;
		text.patches = 0;
		text.firstAt = performance.now();
		outcome('writing');
	}
	if (data.text) {
		sheet.append(element('span', data.text, text.patches % 2 ? 'patch odd' : 'patch'));
	}
	sheet.parentElement.scrollTop = sheet.parentElement.scrollHeight;
	text.tokens += data.tokens;
	text.patches += data.tokens ? 1 : 0;
	text.latestAt = performance.now();
	figures(text);
}

function figures(text) {
	const seconds = (text.latestAt - text.started) / 1000;
	at('count').textContent = text.tokens;
	at('patches').textContent = text.patches;
	at('speed').textContent = text.firstAt ? Math.round(text.tokens / seconds) : '–';
	at('first').textContent = text.firstAt ? Math.round(text.firstAt - text.started) + ' ms' : '–';
}

function outcome(words) {
	at('outcome').textContent = words;
	at('status').textContent = words;
}

function failed(text, message) {
	text.outcome = 'failed';
	at('error').textContent = message;
	at('error').hidden = false;
}

function end(text) {
	writing = null;
	at('go').disabled = false;
	at('cancel').disabled = true;
	at('text').classList.remove('writing');
	outcome(text.outcome);
	showState();
}

function cancel() {
	if (writing) {
		writing.unwanted = true;
		outcome('cancelling');
		if (writing.id) {
			askToCancel(writing);
		}
	}
}

function askToCancel(text) {
	// the last chunk, which says so, comes over Kafka like the others
	fetch('texts/' + encodeURIComponent(text.id) + '?model=' + encodeURIComponent(text.model), { method: 'DELETE' })
		.catch(() => text.abort.abort());
}

/* The service */

async function showState() {
	try {
		const response = await fetch('state');
		const state = await response.json();
		showTraining(state);
		if (!state.models.length) {
			return;
		}
		chooseModel(state.models);
		const model = state.models.find((each) => each.model === at('model').value) || state.models[0];
		const known = at('path').textContent;
		const path = state.products + ' → ' + state.models[0].requests + ' → ' + state.models[0].chunks + ' → ' + state.stories;
		if (known !== path) {
			at('path').textContent = path;
		}
		service([
			['Model', model.model],
			['K', model.patchSize === null ? '–' : model.patchSize + ' tokens in a patch'],
			...scores(state.training),
			['Head', model.head || '–'],
			['Slots in use', model.slotsInUse + ' of ' + model.slots],
			['Queue', model.waiting < 0 ? 'not known' : model.waiting + ' waiting'],
			['Broker', state.broker + (state.ownBroker ? ', in this process' : '')],
		]);
		health(model.state === 'USABLE' && model.takesRequests ? 'good' : 'bad',
			model.state !== 'USABLE' ? 'the model is not usable' : model.takesRequests ? 'ready' : 'the broker or the service is away');
	}
	catch (failure) {
		health('bad', 'the application does not answer');
	}
}

/* The training, where there is no model yet */

const PHASES = {
	'autoencoder': 'the autoencoder learns to turn a patch of K tokens into one vector and back',
	'language-model': 'the language model learns to predict the next vector',
};

function showTraining({ models, training, broker, ownBroker }) {
	const trained = models.length > 0;
	at('training').hidden = trained;
	at('write').hidden = !trained;
	at('stories').dataset.empty = trained ? 'The first story is being written.' : 'The first story comes when the model is trained.';
	if (trained) {
		return;
	}
	service([['Model', 'not there yet'], ['Broker', broker + (ownBroker ? ', in this process' : '')]]);
	health(training && training.failure ? 'bad' : 'busy', training && training.failure ? 'the training failed' : 'training');
	if (!training) {
		return;
	}
	at('training-phase').textContent = 'Phase ' + training.number + ' of ' + training.phases + ': ' + (PHASES[training.phase] || training.phase);
	at('training-progress').value = training.steps ? training.step / training.steps : 0;
	at('training-step').textContent = training.steps ? training.step + ' of ' + training.steps : '–';
	at('training-speed').textContent = training.tokensPerSecond ? Math.round(training.tokensPerSecond).toLocaleString('en') : '–';
	at('training-left').textContent = training.secondsLeft < 0 ? '–' : time(training.secondsLeft);
	curve(training);
	at('training-error').hidden = !training.failure;
	at('training-error').textContent = training.failure || '';
	at('training-samples').replaceChildren(...training.samples.map((sample) => {
		const item = document.createElement('li');
		const text = element('p', '', 'text');
		text.append(element('span', sample.prompt, 'prompt'), element('span', sample.text));
		item.append(text, element('p', 'after step ' + sample.step, 'facts'));
		return item;
	}).reverse());
}

function time(seconds) {
	return Math.floor(seconds / 60) + ':' + String(seconds % 60).padStart(2, '0');
}

function curve({ losses, steps }) {
	const values = losses.map((each) => each.loss);
	at('training-loss').textContent = values.length ? values[values.length - 1].toFixed(2) : '–';
	const most = Math.max(...values);
	const least = Math.min(...values);
	const range = most - least || 1;
	at('curve-line').setAttribute('points', losses.map((each) => (44 + 588 * each.step / steps).toFixed(1) + ','
		+ (10 + 136 * (most - each.loss) / range).toFixed(1)).join(' '));
	at('curve-most').textContent = values.length ? most.toFixed(1) : '';
	at('curve-least').textContent = values.length ? least.toFixed(1) : '';
	at('curve-last').textContent = steps || '';
}

/** What was measured when this process trained the model. */
function scores(training) {
	const rows = [];
	if (training && training.scores.accuracy !== undefined) {
		rows.push(['Accuracy', (100 * training.scores.accuracy).toFixed(1) + ' % of tokens come back from their vector']);
	}
	if (training && training.scores.brier_lm !== undefined) {
		rows.push(['BrierLM', training.scores.brier_lm.toFixed(1) + ' ± ' + training.scores.brier_lm_error.toFixed(1) + ' of 100, on unseen stories']);
	}
	return rows;
}

function chooseModel(models) {
	const select = at('model');
	if (select.options.length === models.length) {
		return;
	}
	select.replaceChildren(...models.map((each) => {
		const option = element('option', each.patchSize === null ? each.model : each.model + ' (K = ' + each.patchSize + ')');
		option.value = each.model;
		return option;
	}));
	select.disabled = models.length < 2;
}

function service(rows) {
	at('service').replaceChildren(...rows.map(([name, value]) => {
		const row = document.createElement('div');
		row.append(element('dt', name), element('dd', value));
		return row;
	}));
}

function health(kind, words) {
	at('health').dataset.kind = kind;
	if (at('health-text').textContent !== words) {
		at('health-text').textContent = words;
	}
}

/* The pipeline */

function readStories() {
	const source = new EventSource('stories');
	// after an interruption, the latest come again
	source.onopen = () => at('stories').replaceChildren();
	source.addEventListener('story', (event) => {
		const story = JSON.parse(event.data);
		const item = document.createElement('li');
		const head = element('div', '', 'product');
		head.append(element('h3', story.product.name), element('span', story.product.sku, 'sku'));
		const text = element('p', '', 'text');
		text.append(element('span', story.product.description, 'prompt'), element('span', story.text));
		item.append(head, text, element('p',
			story.model + ' · ' + story.tokens + ' tokens · '
				+ (STORY_ENDS[story.finishReason] || 'refused: ' + story.finishReason), 'facts'));
		at('stories').prepend(item);
	});
}

async function send() {
	at('send').disabled = true;
	try {
		await fetch('products', { method: 'POST' });
	}
	catch (failure) {
		health('bad', 'the application does not answer');
	}
	finally {
		at('send').disabled = false;
	}
}

at('form').addEventListener('submit', (event) => {
	event.preventDefault();
	write();
});
at('cancel').addEventListener('click', cancel);
at('send').addEventListener('click', send);
at('model').addEventListener('change', showState);
at('temperature').addEventListener('input', () => {
	at('temperature-shown').textContent = at('temperature').value;
});
for (const sampler of ['batch', 'exact']) {
	at(sampler).addEventListener('change', () => {
		at('candidates').disabled = at('exact').checked;
	});
}
document.addEventListener('keydown', (event) => {
	if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
		event.preventDefault();
		write();
	}
	else if (event.key === 'Escape') {
		cancel();
	}
});

async function watch() {
	if (!document.hidden) {
		await showState();
	}
	setTimeout(watch, at('training').hidden ? 2000 : 1000);
}

watch();
readStories();
