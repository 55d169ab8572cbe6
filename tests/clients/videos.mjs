// OpenAI's SDK at its videos calls, in front of a provider whose videos are tasks (Seedance).
import assert from 'node:assert/strict';
import OpenAI, { toFile } from 'openai';

async function until_over(client, id) {
  for (;;) {
    const video = await client.videos.retrieve(id);
    if (video.status === 'completed' || video.status === 'failed') return video;
    await new Promise(done => setTimeout(done, 100));
  }
}

export const videoChecks = {
  async 'videos: create, poll, content'(base) {
    const client = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000 });
    const made = await client.videos.create({ model: 'vi-large', prompt: 'a kite [[task:run=300]]', seconds: '8', size: '1280x720' });
    assert.equal(made.object, 'video');
    assert.equal(made.status, 'queued');
    const over = await until_over(client, made.id);
    assert.equal(over.status, 'completed');
    assert.equal(over.seconds, '8');
    assert.equal(over.size, '1280x720');
    assert.equal(over.model, 'vi-large');
    const content = await client.videos.downloadContent(made.id);
    assert.equal(content.headers.get('content-type'), 'video/mp4');
    const bytes = Buffer.from(await content.arrayBuffer());
    const page = await client.videos.list({ limit: 100 });
    assert.ok(page.data.some((v) => v.object === 'video' && v.status === 'completed'));
    const [newest] = (await client.videos.list({ limit: 1 })).data;
    assert.equal((await client.videos.retrieve(newest.id)).id, newest.id);
    assert.ok(bytes.length > 100000 && bytes.subarray(4, 12).equals(Buffer.from('ftypmp42')));
  },
  async 'videos: a picture to begin with, a failed task, a cancelled one'(base) {
    const client = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000 });
    const picture = await toFile(Buffer.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]), 'a.png', { type: 'image/png' });
    const failed = await client.videos.create({ model: 'vi-large', prompt: 'x [[task:fail]]', input_reference: picture });
    const over = await until_over(client, failed.id);
    assert.equal(over.status, 'failed');
    assert.equal(over.error.code, 'OutputVideoSensitiveContentDetected');
    await assert.rejects(async () => client.videos.downloadContent(failed.id), OpenAI.NotFoundError);
    const waiting = await client.videos.create({ model: 'vi-large', prompt: 'x [[task:queue=60000]]' });
    const gone = await client.videos.delete(waiting.id);
    assert.equal(gone.deleted, true);
    assert.equal(gone.id, waiting.id);
    assert.equal((await until_over(client, waiting.id)).error.code, 'cancelled');
  },
  async 'videos: what is no id, and what is refused'(base) {
    const client = new OpenAI({ apiKey: 'sk-app-key', baseURL: base + '/v1', maxRetries: 0, timeout: 20000 });
    await assert.rejects(async () => client.videos.retrieve('video_1'), OpenAI.NotFoundError);
    await assert.rejects(async () => client.videos.create({ model: 'vi-large', prompt: 'x', size: 'wide' }), OpenAI.BadRequestError);
    await assert.rejects(async () => client.videos.remix('video_1', { prompt: 'x' }), e => e.status === 501);
  },
};
