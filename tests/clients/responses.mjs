// OpenAI's SDK in the form of adapters.mjs, through its Responses calls, as an app without stored conversations makes them. Structured
// output goes through parse(); streams through the event helper, which insists on every event's place.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { makeParseableTextFormat } from 'openai/lib/parser';

const TIMEOUT_MS = 20000;
const FEWEST_TOKENS = 16; // max_output_tokens may not be less

function part(p) {
  if (p.image) return { type: 'input_image', detail: 'auto', image_url: `data:${p.image.type};base64,${p.image.data}` };
  if (p.imageUrl) return { type: 'input_image', detail: 'auto', image_url: p.imageUrl };
  return { type: 'input_text', text: p.text };
}

function body(q) {
  const input = (q.history ?? []).flat();
  if (q.user) input.push({ role: 'user', content: typeof q.user === 'string' ? q.user : q.user.map(part) });
  const b = { model: q.model, input, store: false };
  if (q.system) b.instructions = q.system;
  if (q.tools) b.tools = q.tools.map(t => ({ type: 'function', name: t.name, description: t.description, parameters: t.schema, strict: false }));
  if (q.toolChoice) b.tool_choice = q.toolChoice === 'any' ? 'required' : { type: 'function', name: q.toolChoice };
  if (q.parallel !== undefined) b.parallel_tool_calls = q.parallel;
  if (q.schema)
    b.text = { format: makeParseableTextFormat({ type: 'json_schema', name: 'answer', strict: true, schema: q.schema }, text => JSON.parse(text)) };
  if (q.maxTokens) b.max_output_tokens = Math.max(q.maxTokens, FEWEST_TOKENS);
  if (q.thinking) Object.assign(b, { reasoning: { effort: 'high', summary: 'auto' }, include: ['reasoning.encrypted_content'] });
  return b;
}

function finishOf(r, calls, refusal) {
  if (refusal || r.incomplete_details?.reason === 'content_filter') return 'refusal';
  if (r.incomplete_details?.reason === 'max_output_tokens') return 'length';
  assert.equal(r.status, 'completed');
  return calls.length ? 'tools' : 'stop';
}

function answer(r) {
  const parts = r.output.filter(i => i.type === 'message').flatMap(i => i.content);
  const refusal = parts.filter(p => p.type === 'refusal').map(p => p.refusal).join('');
  const calls = r.output.filter(i => i.type === 'function_call');
  for (const key of ['instructions', 'tools', 'tool_choice', 'parallel_tool_calls', 'temperature', 'top_p', 'metadata', 'error', 'incomplete_details'])
    assert.ok(key in r, `the response has no ${key}`);
  assert.equal(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens);
  return {
    text: r.output_text ?? parts.filter(p => p.type === 'output_text').map(p => p.text).join(''),
    parsed: r.output_parsed,
    refusal,
    reasoning: r.output.filter(i => i.type === 'reasoning').flatMap(i => i.summary).map(s => s.text).join(''),
    calls: calls.map(c => ({ id: c.call_id, name: c.name, args: JSON.parse(c.arguments) })),
    finish: finishOf(r, calls, refusal),
    usage: { input: r.usage.input_tokens, cached: r.usage.input_tokens_details.cached_tokens, output: r.usage.output_tokens },
    message: r.output.map(({ parsed, parsed_arguments, ...item }) => item),
  };
}

export function responses(base, key) {
  const client = new OpenAI({ apiKey: key, baseURL: base + '/v1', maxRetries: 0, timeout: TIMEOUT_MS });
  return {
    name: 'openai 6.49 responses', errors: OpenAI, dialect: 'responses', lacks: ['stop sequence'],
    fewestTokens: FEWEST_TOKENS,
    async ask(q) {
      if (!q.stream) {
        const a = answer(await (q.schema ? client.responses.parse(body(q)) : client.responses.create(body(q))));
        if (q.schema) assert.deepEqual(a.parsed, JSON.parse(a.text));
        return a;
      }
      const stream = client.responses.stream(body(q));
      let pieces = 0;
      stream.on('response.output_text.delta', () => pieces++);
      return { ...answer(await stream.finalResponse()), pieces };
    },
    async rawStream(q) {
      const events = [];
      for await (const e of await client.responses.create({ ...body(q), stream: true })) events.push(e);
      return events;
    },
    results: (message, texts) => message.filter(i => i.type === 'function_call').map((c, i) => ({ type: 'function_call_output', call_id: c.call_id, output: texts[i] })),
    userTurn: text => ({ role: 'user', content: text }),
    models: async () => { const ids = []; for await (const m of client.models.list()) ids.push(m.id); return ids; },
    oneModel: async id => (await client.models.retrieve(id)).id,
    lacksAlone: ['one model'],
  };
}

// Every item is opened, filled and closed, in order and under its own number; the end holds what the events told.
export function checkEvents(events) {
  events.forEach((e, i) => assert.equal(e.sequence_number, i, 'sequence numbers'));
  assert.deepEqual(events.slice(0, 2).map(e => e.type), ['response.created', 'response.in_progress']);
  const last = events.at(-1);
  assert.equal(last.type, 'response.completed');
  const open = new Map();
  const done = [];
  for (const e of events) {
    if (e.type === 'response.output_item.added') {
      assert.ok(!open.has(e.output_index) && done[e.output_index] === undefined, 'an item is opened once');
      open.set(e.output_index, { id: e.item.id, text: '' });
    } else if (e.type === 'response.output_item.done') {
      assert.ok(open.delete(e.output_index), 'an item is closed once');
      done[e.output_index] = e.item;
    } else if (e.output_index !== undefined) {
      const item = open.get(e.output_index);
      assert.equal(item?.id, e.item_id, `${e.type} belongs to an open item`);
      if (e.type.endsWith('.delta')) item.text += e.delta;
      const whole = e.type.endsWith('.done') && !e.type.includes('_part.') ? e.text ?? e.arguments ?? e.refusal ?? e.input : undefined;
      if (whole !== undefined) {
        assert.equal(item.text, whole, `${e.type} repeats its deltas`);
        item.text = '';
      }
    }
  }
  assert.equal(open.size, 0, 'every item is closed');
  assert.deepEqual(last.response.output, done);
  assert.ok(last.response.usage.output_tokens > 0);
}
