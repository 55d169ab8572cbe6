// What every client must be able to do, whichever provider answers. The fake says in its answers what reached it, so a check sees both
// directions: "answered by fake-oa, model large, as openai: 1 user, 1 system, 2 images."
import assert from 'node:assert/strict';
import { checkEvents } from './responses.mjs';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const CITY = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'], additionalProperties: false };
const TOOLS = [{ name: 'get_weather', description: 'The weather', schema: CITY }, { name: 'get_time', description: 'The time', schema: CITY }];
const NO_ARGS = [{ name: 'now', description: 'No arguments', schema: { type: 'object', properties: {} } }];

const counts = (text, what) => Number(new RegExp(`(\\d+) ${what}s?[,.]`).exec(text)?.[1] ?? 0);

// Both ways of reading an answer must give the same.
async function both(client, q) {
  const whole = await client.ask(q);
  const streamed = await client.ask({ ...q, stream: true });
  for (const field of ['text', 'finish', 'usage']) assert.deepEqual(streamed[field], whole[field], `${field}, streamed and whole`);
  assert.deepEqual(streamed.calls.map(c => [c.name, c.args]), whole.calls.map(c => [c.name, c.args]), 'calls, streamed and whole');
  return { whole, streamed };
}

export const checks = {
  async 'text'(c, m) {
    const { whole, streamed } = await both(c, { model: m('large'), user: 'hello' });
    assert.match(whole.text, /^answered by fake-/);
    assert.equal(whole.finish, 'stop');
    assert.equal(whole.usage.input, 6, 'input tokens');
    assert.equal(whole.usage.output, whole.text.split(' ').length, 'output tokens');
    assert.ok(streamed.pieces > 5, `${streamed.pieces} pieces`);
  },
  async 'system and several turns'(c, m) {
    const history = [c.userTurn('one'), { role: 'assistant', content: 'two' }];
    const { whole } = await both(c, { model: m('large'), system: 'Be brief.', history, user: 'three' });
    assert.equal(counts(whole.text, 'system'), 1);
    assert.equal(counts(whole.text, 'user'), 2);
    assert.equal(counts(whole.text, 'assistant'), 1);
  },
  async 'unicode and escapes'(c, m) {
    const user = 'Zürich "quoted" \\ back\n\ttab 日本語 🎉 \u0001 end';
    const { whole } = await both(c, { model: m('large'), user });
    assert.equal(whole.usage.input, 4 + Math.ceil(Buffer.byteLength(user) / 4));
  },
  async 'tool call'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'weather?', tools: TOOLS });
    assert.equal(whole.finish, 'tools');
    assert.deepEqual(whole.calls.map(x => [x.name, x.args]), [['get_weather', { city: 'Oslo', days: 7 }]]);
    assert.ok(whole.calls[0].id);
  },
  async 'tool call: a named one'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'time?', tools: TOOLS, toolChoice: 'get_time' });
    assert.deepEqual(whole.calls.map(x => x.name), ['get_time']);
  },
  async 'tool call: any'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'time?', tools: TOOLS, toolChoice: 'any' });
    assert.equal(whole.calls.length, 1);
  },
  async 'tool call without arguments'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'now?', tools: NO_ARGS });
    assert.deepEqual(whole.calls.map(x => x.args), [{}]);
  },
  async 'parallel tool calls'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'both [[fake:parallel]]', tools: TOOLS });
    assert.deepEqual(whole.calls.map(x => [x.name, x.args.city]), [['get_weather', 'Oslo'], ['get_time', 'Bergen']]);
    assert.equal(new Set(whole.calls.map(x => x.id)).size, 2);
  },
  async 'parallel tool calls forbidden'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'both [[fake:parallel]]', tools: TOOLS, parallel: false });
    assert.equal(whole.calls.length, 1);
  },
  async 'tool results go back'(c, m) {
    const first = await c.ask({ model: m('large'), user: 'both [[fake:parallel]]', tools: TOOLS });
    const history = [c.userTurn('both'), first.message, ...c.results(first.message, ['-3 C', '11:30'])];
    const { whole } = await both(c, { model: m('large'), history, tools: TOOLS });
    assert.equal(counts(whole.text, 'result'), 2);
    assert.match(whole.text, /The tool said: 11:30/);
  },
  async 'tool results of a streamed answer, thinking included'(c, m) {
    const first = await c.ask({ model: m('large'), user: 'weather?', tools: TOOLS, thinking: true, stream: true });
    const history = [c.userTurn('weather?'), first.message, ...c.results(first.message, ['-3 C'])];
    const { whole } = await both(c, { model: m('large'), history, tools: TOOLS, thinking: true });
    assert.match(whole.text, /The tool said: -3 C/);
  },
  async 'image: base64'(c, m) {
    const user = [{ text: 'what is this?' }, { image: { type: 'image/png', data: PIXEL } }];
    assert.equal(counts((await both(c, { model: m('large'), user })).whole.text, 'image'), 1);
  },
  async 'image: URL, two'(c, m) {
    const user = [{ imageUrl: 'https://example.org/a.png' }, { text: 'and' }, { imageUrl: 'https://example.org/b.png' }];
    assert.equal(counts((await both(c, { model: m('large'), user })).whole.text, 'image'), 2);
  },
  async 'JSON schema'(c, m) { // weir gives a schema only to models that are known to take one
    const { whole } = await both(c, { model: m('claude-sonnet-4-6'), user: 'as JSON', schema: CITY });
    const value = JSON.parse(whole.text);
    assert.match(value.city, /^fake-/);
    assert.equal(value.days, 7);
  },
  async 'max tokens'(c, m) {
    const maxTokens = c.fewestTokens ?? 5;
    const { whole } = await both(c, { model: m('large'), user: 'long', maxTokens });
    assert.equal(whole.finish, 'length');
    assert.equal(whole.usage.output, maxTokens);
  },
  async 'stop sequence'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'stop', stop: ['model'] });
    assert.ok(!whole.text.includes('model'));
    if (c.dialect === 'openai') assert.equal(whole.finish, 'stop');
    else assert.ok(['sequence', 'stop'].includes(whole.finish), whole.finish); // OpenAI's answer does not say which it was
  },
  async 'cached tokens'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'a prompt that was cached before [[fake:cached=7]]' });
    assert.equal(whole.usage.cached, 7);
    assert.equal(whole.usage.input, 4 + Math.ceil(49 / 4));
  },
  async 'refusal'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'bad [[fake:refuse]]' });
    assert.equal(whole.finish, 'refusal');
    assert.match(whole.text + (whole.refusal ?? ''), /cannot help/);
  },
  async 'a long stream'(c, m) {
    const { whole } = await both(c, { model: m('large'), user: 'long [[fake:words=2000]]' });
    assert.equal(whole.text.split(' ').length, 2000);
  },
  async 'a stream without usage asked for'(c, m) {
    const events = await c.rawStream({ model: m('large'), user: 'raw' });
    if (c.dialect === 'openai') assert.ok(events.every(e => e.choices.length === 1 && !e.usage), 'no usage chunk');
    else if (c.dialect === 'converse') assert.ok(events.at(-1).metadata.usage);
    else if (c.dialect === 'responses') checkEvents(events);
    else if (c.dialect === 'cohere') assert.ok(events.at(-1).type === 'message-end' && events.at(-1).delta.usage);
    else if (c.dialect === 'ollama') assert.ok(events.at(-1).done && events.at(-1).eval_count > 0);
    else if (c.dialect === 'gemini') assert.ok(events.at(-1).usageMetadata && events.at(-1).candidates[0].finishReason);
    else assert.equal(events.at(-1).type, 'message_stop');
  },
  async 'list of models'(c) {
    assert.ok((await c.models()).length > 0);
  },
  async 'one model'(c, m) { // by its name, as listed; one that is not there is the SDK's own class
    if (!c.oneModel) return;
    assert.equal(await c.oneModel(m('large')), m('large'));
    await assert.rejects(() => c.oneModel('not-there'), e => e instanceof c.errors.NotFoundError, 'no NotFoundError');
  },
};

// Status the provider answers with -> class that the client's SDK must raise. Behind weir a provider's word about *our* key is ours
// to mend, not the app's: 502.
const errorClasses = {
  400: 'BadRequestError', 404: 'NotFoundError', 409: 'ConflictError', 413: 'APIError', 422: 'UnprocessableEntityError', 429: 'RateLimitError',
  500: 'InternalServerError', 503: 'InternalServerError', 504: 'InternalServerError', 529: 'InternalServerError',
};
const keyErrorClasses = {
  direct: { 401: 'AuthenticationError', 403: 'PermissionDeniedError' },
  gateway: { 401: 'InternalServerError', 403: 'InternalServerError' },
};
// The other dialect has its words from weir's table of errors, where a request that the provider cannot process is a bad one.
export const classesOf = (mode, sameDialect) => ({ ...errorClasses, ...keyErrorClasses[mode], ...(sameDialect ? {} : { 422: 'BadRequestError' }) });

export async function checkError(client, model, name, stream) {
  let raised = null;
  try {
    await client.ask({ model, user: 'fail', stream });
  } catch (e) {
    raised = e;
  }
  assert.ok(raised, 'no error was raised');
  assert.ok(raised instanceof client.errors[name], `${raised.constructor.name} instead of ${name}: ${raised.message}`);
  assert.ok(raised.status >= 400, `no status: ${raised.message}`);
  assert.ok(raised.message.length > 4 && !/<html/i.test(raised.message), raised.message);
}
