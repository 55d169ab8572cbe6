// Cohere's SDK in the form of adapters.mjs: names are camelCase there, and each status has a class of its own or none.
import { CohereClientV2, CohereError } from 'cohere-ai';
import { errorsByStatus } from './status.mjs';

const TIMEOUT_S = 20;
const finishes = { COMPLETE: 'stop', MAX_TOKENS: 'length', TOOL_CALL: 'tools', STOP_SEQUENCE: 'sequence' };
const errors = errorsByStatus(e => e instanceof CohereError, e => e.statusCode);

function part(p) {
  if (p.image) return { type: 'image_url', imageUrl: { url: `data:${p.image.type};base64,${p.image.data}` } };
  if (p.imageUrl) return { type: 'image_url', imageUrl: { url: p.imageUrl } };
  return { type: 'text', text: p.text };
}

function call(q) {
  const messages = [];
  if (q.system) messages.push({ role: 'system', content: q.system });
  messages.push(...(q.history ?? []));
  if (q.user) messages.push({ role: 'user', content: typeof q.user === 'string' ? q.user : q.user.map(part) });
  const body = { model: q.model, messages };
  if (q.tools) body.tools = q.tools.map(t => ({ type: 'function', function: { name: t.name, description: t.description, parameters: t.schema } }));
  if (q.toolChoice) body.toolChoice = 'REQUIRED';
  if (q.schema) body.responseFormat = { type: 'json_object', jsonSchema: q.schema };
  if (q.maxTokens) body.maxTokens = q.maxTokens;
  if (q.stop) body.stopSequences = q.stop;
  if (q.thinking) body.thinking = { type: 'enabled' };
  return body;
}

function answer(message, finish, usage) {
  const of = kind => (message.content ?? []).map(b => b[kind] ?? '').join('');
  return {
    text: of('text'),
    reasoning: of('thinking'),
    calls: (message.toolCalls ?? []).map(c => ({ id: c.id, name: c.function.name, args: JSON.parse(c.function.arguments) })),
    finish: finishes[finish],
    usage: usage && { input: usage.tokens.inputTokens, cached: usage.cachedTokens ?? 0, output: usage.tokens.outputTokens },
    message,
  };
}

// The SDK leaves putting the events together to the app.
function gather(events) {
  const message = { role: 'assistant', content: [], toolCalls: [] };
  let finish, usage, pieces = 0;
  for (const e of events) {
    const m = e.delta?.message;
    if (e.type === 'content-start') message.content.push({ ...m.content });
    if (e.type === 'content-delta') {
      for (const key of ['text', 'thinking']) if (m.content[key] !== undefined) message.content.at(-1)[key] += m.content[key];
      pieces++;
    }
    if (e.type === 'tool-call-start') message.toolCalls.push(structuredClone(m.toolCalls));
    if (e.type === 'tool-call-delta') message.toolCalls.at(-1).function.arguments += m.toolCalls.function.arguments;
    if (e.type === 'message-end') [finish, usage] = [e.delta.finishReason, e.delta.usage];
  }
  if (!message.toolCalls.length) delete message.toolCalls;
  if (!message.content.length) delete message.content;
  return { ...answer(message, finish, usage), pieces };
}

export function cohere(base, key) {
  const client = new CohereClientV2({ token: key, environment: base, maxRetries: 0, timeoutInSeconds: TIMEOUT_S });
  const raise = e => { throw e instanceof CohereError ? Object.assign(e, { status: e.statusCode }) : e; };
  const options = { maxRetries: 0, timeoutInSeconds: TIMEOUT_S };
  const events = async q => {
    const all = [];
    for await (const e of await client.chatStream(call(q), options).catch(raise)) all.push(e);
    return all;
  };
  return {
    name: 'cohere 8.1', errors, dialect: 'cohere',
    lacks: ['parallel tool calls forbidden', 'tool call: a named one', 'refusal'], // the API has no words for these
    lacksAlone: ['list of models'], // at the same path as OpenAI's, which the fake gives
    async ask(q) {
      if (q.stream) return gather(await events(q));
      const whole = await client.chat(call(q), options).catch(raise);
      return answer(whole.message, whole.finishReason, whole.usage);
    },
    rawStream: events,
    results: (message, texts) => message.toolCalls.map((c, i) => ({ role: 'tool', toolCallId: c.id, content: texts[i] })),
    userTurn: text => ({ role: 'user', content: text }),
    models: async () => (await client.models.list()).models.map(m => m.name),
  };
}
