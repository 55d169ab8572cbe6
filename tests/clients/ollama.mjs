// Ollama's SDK in the form of adapters.mjs. It has one class for every refusal, which it does not export; the status tells them apart.
import { Ollama } from 'ollama';
import { errorsByStatus } from './status.mjs';

const finishes = { stop: 'stop', length: 'length' };
const errors = errorsByStatus(e => e.name === 'ResponseError', e => e.status_code);

// One text in a message, pictures beside it.
function user(parts) {
  if (typeof parts === 'string') return { role: 'user', content: parts };
  return {
    role: 'user',
    content: parts.filter(p => p.text).map(p => p.text).join('\n'),
    images: parts.filter(p => p.image).map(p => p.image.data),
  };
}

function call(q) {
  const messages = [];
  if (q.system) messages.push({ role: 'system', content: q.system });
  messages.push(...(q.history ?? []));
  if (q.user) messages.push(user(q.user));
  const body = { model: q.model, messages, options: {} };
  if (q.tools) body.tools = q.tools.map(t => ({ type: 'function', function: { name: t.name, description: t.description, parameters: t.schema } }));
  if (q.schema) body.format = q.schema;
  if (q.maxTokens) body.options.num_predict = q.maxTokens;
  if (q.stop) body.options.stop = q.stop;
  if (q.thinking) body.think = true;
  return body;
}

function answer(message, last) {
  const calls = (message.tool_calls ?? []).map(c => ({ id: c.id, name: c.function.name, args: c.function.arguments }));
  return {
    text: message.content,
    reasoning: message.thinking ?? '',
    calls,
    finish: calls.length && last.done_reason === 'stop' ? 'tools' : finishes[last.done_reason],
    usage: { input: last.prompt_eval_count, cached: 0, output: last.eval_count },
    message,
  };
}

function gather(lines) {
  const message = { role: 'assistant', content: '' };
  let pieces = 0;
  for (const { message: m } of lines) {
    if (m.content) pieces++;
    message.content += m.content;
    if (m.thinking) message.thinking = (message.thinking ?? '') + m.thinking;
    if (m.tool_calls) message.tool_calls = [...(message.tool_calls ?? []), ...m.tool_calls];
  }
  return { ...answer(message, lines.at(-1)), pieces };
}

export function ollama(base, key) {
  const client = new Ollama({ host: base, headers: { authorization: `Bearer ${key}` } });
  const raise = e => { throw e.name === 'ResponseError' ? Object.assign(e, { status: e.status_code }) : e; };
  const lines = async q => {
    const all = [];
    for await (const line of await client.chat({ ...call(q), stream: true }).catch(raise)) all.push(line);
    return all;
  };
  return {
    name: 'ollama 0.6', errors, dialect: 'ollama',
    // The API has no words for these.
    lacks: ['parallel tool calls forbidden', 'tool call: a named one', 'tool call: any', 'refusal', 'cached tokens', 'image: URL, two'],
    async ask(q) {
      if (q.stream) return gather(await lines(q));
      const whole = await client.chat(call(q)).catch(raise);
      return answer(whole.message, whole);
    },
    rawStream: lines,
    results: (message, texts) => message.tool_calls.map((c, i) => ({ role: 'tool', tool_name: c.function.name, tool_call_id: c.id, content: texts[i] })),
    userTurn: text => ({ role: 'user', content: text }),
    models: async () => (await client.list()).models.map(m => m.name),
  };
}
