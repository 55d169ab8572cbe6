// Calls weir as a vendor's SDK does and tells what the SDK made of the answer: node sdk.mjs BASE JOBS.json
// JOBS: [{route, client: "openai"|"responses"|"anthropic"|"gemini"|"converse", stream}]. One JSON line for each: {n, body} with the answer as the SDK handed it out
// (a stream as its events), {n, final} with the message that Anthropic's SDK put together, or {n, failed: {status, name, message}}.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { client as bedrock } from '../clients/bedrock.mjs';

const require = createRequire(new URL('../clients/package.json', import.meta.url));
const OpenAI = require('openai').default ?? require('openai');
const Anthropic = require('@anthropic-ai/sdk').default ?? require('@anthropic-ai/sdk');
const [base, jobsPath] = process.argv.slice(2);
const jobs = JSON.parse(fs.readFileSync(jobsPath, 'utf8'));
const messages = [{ role: 'user', content: 'x' }];

async function openai({ route, stream }) {
  const sdk = new OpenAI({ apiKey: 'k', baseURL: `${base}/v1`, maxRetries: 0, timeout: 60000 });
  const body = { model: route, messages, max_completion_tokens: 100 };
  if (!stream) return { body: JSON.stringify(await sdk.chat.completions.create(body)) };
  let text = '';
  const chunks = await sdk.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of chunks) text += `data: ${JSON.stringify(chunk)}\n\n`;
  return { body: `${text}data: [DONE]\n\n` };
}

async function responses({ route, stream }) {
  const sdk = new OpenAI({ apiKey: 'k', baseURL: `${base}/v1`, maxRetries: 0, timeout: 60000 });
  const body = { model: route, input: 'x', store: false };
  if (!stream) return { body: JSON.stringify(await sdk.responses.create(body)) };
  let text = '';
  const events = sdk.responses.stream(body); // the helper: an event out of its place is an error
  events.on('event', (e) => { text += `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`; });
  await events.finalResponse();
  return { body: text };
}

async function anthropic({ route, stream }) {
  const sdk = new Anthropic({ apiKey: 'k', baseURL: base, maxRetries: 0, timeout: 60000 });
  const body = { model: route, messages, max_tokens: 100 };
  if (!stream) return { body: JSON.stringify(await sdk.messages.create(body)) };
  let text = '';
  const events = sdk.messages.stream(body);
  events.on('streamEvent', (e) => { text += `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`; });
  const final = await events.finalMessage();
  return { body: text, final: JSON.stringify(final) };
}

async function gemini({ route, stream }) {
  const { GoogleGenAI } = require('@google/genai');
  const sdk = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: base, timeout: 60000 } });
  const body = { model: route, contents: 'x' };
  if (!stream) return { body: JSON.stringify(await sdk.models.generateContent(body)) };
  let text = '';
  for await (const chunk of await sdk.models.generateContentStream(body)) text += `data: ${JSON.stringify(chunk)}\n\n`;
  return { body: text };
}

// Bytes as they stand on the wire.
const plain = (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('base64') : v);

async function converse({ route, stream }) {
  const { ConverseCommand, ConverseStreamCommand } = require('@aws-sdk/client-bedrock-runtime');
  const sdk = bedrock(base, 'k');
  const body = { modelId: route, messages: [{ role: 'user', content: [{ text: 'x' }] }] };
  if (!stream) return { body: JSON.stringify(await sdk.send(new ConverseCommand(body)), plain) };
  let text = ''; // a line for each frame
  for await (const e of (await sdk.send(new ConverseStreamCommand(body))).stream) {
    for (const [name, value] of Object.entries(e)) text += `event ${name} ${JSON.stringify(value, plain)}\n`;
  }
  return { body: text };
}

const clients = { openai, responses, anthropic, gemini, converse };

async function one(n) {
  const job = jobs[n];
  let result;
  try {
    result = await clients[job.client](job);
  } catch (e) {
    result = { failed: { status: e.status ?? e.$metadata?.httpStatusCode ?? 0, name: e.constructor.name, message: String(e.message).slice(0, 400) } };
  }
  process.stdout.write(`${JSON.stringify({ n, ...result })}\n`);
}

let next = 0;
await Promise.all(Array.from({ length: 8 }, async () => { while (next < jobs.length) await one(next++); }));
