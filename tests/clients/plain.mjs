// OpenAI's SDK at the endpoints that are no chat: what it sends must reach the provider, and what comes back must be what it expects.
import assert from 'node:assert/strict';
import OpenAI, { toFile } from 'openai';

const SOUND = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));

function open(mode, base) {
  const headers = mode === 'direct' ? {} : { 'x-weir-route': 'oa-large' }; // several providers have files: the call must say which
  const client = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000 });
  const files = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000, defaultHeaders: headers });
  return { client, files, model: mode === 'direct' ? 'large' : 'oa-large' };
}

export const plainChecks = {
  async 'embeddings'(mode, base) { // the SDK asks for base64 unless told otherwise, and decodes it
    const { client, model } = open(mode, base);
    const usual = await client.embeddings.create({ model, input: ['one', 'two'], dimensions: 8 });
    const float = await client.embeddings.create({ model, input: ['one', 'two'], dimensions: 8, encoding_format: 'float' });
    assert.equal(usual.data.length, 2);
    assert.equal(usual.data[0].embedding.length, 8);
    assert.deepEqual([...usual.data[1].embedding], float.data[1].embedding);
    assert.deepEqual(usual.usage, { prompt_tokens: 2, total_tokens: 2 });
    assert.equal(usual.model, 'large');
  },
  async 'completions'(mode, base) {
    const { client, model } = open(mode, base);
    const whole = await client.completions.create({ model, prompt: 'count' });
    assert.equal(whole.choices[0].text, 'one two three');
    let text = '';
    let usage = 0;
    for await (const chunk of await client.completions.create({ model, prompt: 'count', stream: true })) {
      text += chunk.choices[0].text; // a chunk without choices, which only weir asked for, would throw
      usage += chunk.usage ? 1 : 0;
    }
    assert.equal(text, 'one two three');
    assert.equal(usage, 0);
  },
  async 'moderations'(mode, base) {
    const { client, files } = open(mode, base);
    const answer = await (mode === 'direct' ? client : files).moderations.create({ input: 'be nice' });
    assert.equal(answer.results[0].flagged, false);
  },
  async 'images: generated and edited'(mode, base) {
    const { client, model } = open(mode, base);
    const made = await client.images.generate({ model, prompt: 'a weir', n: 2 });
    assert.deepEqual(made.data.map(d => d.b64_json), ['iVBORw0KGgo=', 'iVBORw0KGgo=']);
    const edited = await client.images.edit({ model, prompt: 'more water', image: await toFile(SOUND, 'a.png', { type: 'image/png' }) });
    assert.equal(edited.data.length, 1);
  },
  async 'audio: speech and transcription'(mode, base) {
    const { client, model } = open(mode, base);
    const answer = await client.audio.speech.create({ model, input: 'hello', voice: 'alloy' });
    assert.equal(answer.headers.get('content-type'), 'audio/mpeg');
    const bytes = Buffer.from(await answer.arrayBuffer());
    assert.equal(bytes.length, 70000);
    assert.ok(bytes.every((b, i) => b === ((i * 7 + Math.floor(i / 256)) & 255)), 'every byte');
    const text = await client.audio.transcriptions.create({ model, file: await toFile(SOUND, 'a.wav', { type: 'audio/wav' }) });
    assert.equal(text.text, `${SOUND.length} bytes`);
  },
  async 'files: up, listed, down, gone'(mode, base) {
    const { files } = open(mode, base);
    const file = await files.files.create({ file: await toFile(SOUND, 'a.jsonl'), purpose: 'batch' });
    assert.equal(file.bytes, SOUND.length);
    assert.ok((await files.files.list()).data.some(f => f.id === file.id));
    assert.equal((await files.files.retrieve(file.id)).id, file.id);
    assert.deepEqual(Buffer.from(await (await files.files.content(file.id)).arrayBuffer()), SOUND);
    assert.equal((await files.files.delete(file.id)).deleted, true);
    await assert.rejects(files.files.retrieve(file.id), OpenAI.NotFoundError);
  },
  async 'batches'(mode, base) {
    const { files } = open(mode, base);
    const batch = await files.batches.create({ input_file_id: 'file-9', endpoint: '/v1/chat/completions', completion_window: '24h' });
    assert.equal(batch.input_file_id, 'file-9');
    assert.equal((await files.batches.retrieve(batch.id)).id, batch.id);
    assert.equal((await files.batches.cancel(batch.id)).status, 'cancelling');
    assert.deepEqual((await files.batches.list()).data, []);
  },
  async 'what the provider refuses arrives as it was said'(mode, base) {
    const { client, model } = open(mode, base);
    await assert.rejects(client.embeddings.create({ model, input: 'x', dimensions: 100000 }), e => e instanceof OpenAI.BadRequestError && e.param === 'dimensions');
    await assert.rejects(client.completions.create({ model, prompt: 'x', invented: 1 }), OpenAI.BadRequestError);
  },
  async 'raw path of a provider'(mode, base) {
    if (mode === 'direct') return;
    const client = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/p/oa/v1', maxRetries: 0, timeout: 20000 });
    const answer = await client.chat.completions.create({ model: 'large', messages: [{ role: 'user', content: 'hello' }] });
    assert.match(answer.choices[0].message.content, /^answered by fake-oa/);
    let text = '';
    for await (const chunk of await client.chat.completions.create({ model: 'large', messages: [{ role: 'user', content: 'hello' }], stream: true })) text += chunk.choices[0]?.delta?.content ?? '';
    assert.equal(text, answer.choices[0].message.content);
  },
};
