// Google's SDK in the form of adapters.mjs. It raises one class for every refusal; the status tells them apart.
import { ApiError, GoogleGenAI } from '@google/genai';
import { errorsByStatus } from './status.mjs';

const TIMEOUT_MS = 20000;
const finishes = { STOP: 'stop', MAX_TOKENS: 'length', SAFETY: 'refusal', PROHIBITED_CONTENT: 'refusal' };
const errors = errorsByStatus(e => e instanceof ApiError, e => e.status);

function part(p) {
  if (p.image) return { inlineData: { mimeType: p.image.type, data: p.image.data } };
  if (p.imageUrl) return { fileData: { mimeType: 'image/png', fileUri: p.imageUrl } };
  return { text: p.text };
}

const turn = m => (m.parts ? m : { role: 'model', parts: [{ text: m.content }] });

function call(q) {
  const contents = (q.history ?? []).map(turn);
  if (q.user) contents.push({ role: 'user', parts: typeof q.user === 'string' ? [{ text: q.user }] : q.user.map(part) });
  const config = {};
  if (q.system) config.systemInstruction = q.system;
  if (q.tools) config.tools = [{ functionDeclarations: q.tools.map(t => ({ name: t.name, description: t.description, parametersJsonSchema: t.schema })) }];
  if (q.toolChoice) config.toolConfig = { functionCallingConfig: { mode: 'ANY', ...(q.toolChoice === 'any' ? {} : { allowedFunctionNames: [q.toolChoice] }) } };
  if (q.schema) Object.assign(config, { responseMimeType: 'application/json', responseJsonSchema: q.schema });
  if (q.maxTokens) config.maxOutputTokens = q.maxTokens;
  if (q.stop) config.stopSequences = q.stop;
  if (q.thinking) config.thinkingConfig = { includeThoughts: true };
  return { model: q.model, contents, config };
}

function answer(parts, finish, usage) {
  const texts = thought => parts.filter(p => p.text && Boolean(p.thought) === thought).map(p => p.text).join('');
  const calls = parts.filter(p => p.functionCall).map(p => ({ id: p.functionCall.id, name: p.functionCall.name, args: p.functionCall.args ?? {} }));
  return {
    text: texts(false),
    reasoning: texts(true),
    calls,
    finish: finishes[finish] === 'stop' && calls.length ? 'tools' : finishes[finish],
    usage: usage && {
      input: usage.promptTokenCount + (usage.toolUsePromptTokenCount ?? 0),
      cached: usage.cachedContentTokenCount ?? 0,
      output: usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0),
    },
    message: { role: 'model', parts },
  };
}

// Every event has parts of its own: an app that keeps the turn keeps them all, each with its signature.
function gather(events) {
  const parts = [];
  let finish, usage, pieces = 0;
  for (const e of events) {
    const candidate = e.candidates?.[0];
    for (const p of candidate?.content?.parts ?? []) {
      if (p.text && !p.thought) pieces++;
      if (p.text !== '' || p.thoughtSignature) parts.push(p);
    }
    finish = candidate?.finishReason ?? finish;
    usage = e.usageMetadata ?? usage;
  }
  return { ...answer(parts, finish, usage), pieces };
}

export function gemini(base, key) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base, timeout: TIMEOUT_MS } });
  const events = async q => {
    const all = [];
    for await (const e of await client.models.generateContentStream(call(q))) all.push(e);
    return all;
  };
  return {
    name: 'genai 3.3', errors, dialect: 'gemini',
    lacks: ['parallel tool calls forbidden'], // the API has no such switch
    async ask(q) {
      if (q.stream) return gather(await events(q));
      const whole = await client.models.generateContent(call(q));
      const candidate = whole.candidates?.[0];
      return answer(candidate?.content?.parts ?? [], candidate?.finishReason, whole.usageMetadata);
    },
    rawStream: events,
    results: (message, texts) => [{
      role: 'user',
      parts: message.parts.filter(p => p.functionCall).map(({ functionCall: { id, name } }, i) => ({ functionResponse: { id, name, response: { output: texts[i] } } })),
    }],
    userTurn: text => ({ role: 'user', parts: [{ text }] }),
    models: async () => { const names = []; for await (const m of await client.models.list()) names.push(m.name); return names; },
    oneModel: async id => (await client.models.get({ model: id })).name.replace('models/', ''),
    lacksAlone: ['one model'],
  };
}
