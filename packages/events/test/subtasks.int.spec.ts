import {
  type SubtaskOffer,
  SubtaskOfferSchema,
  type SubtaskReply,
  SubtaskReplySchema,
  type SubtaskRequest,
  SubtaskRequestSchema,
} from '@agentforge/contracts';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { connect } from '@nats-io/transport-node';
import { connectEvents, type Events, MAX_ANSWER_JSON, MAX_SUBTASK_JSON, MAX_SUBTASKS } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { taskOf, until } from './histories.js';

let nats: NatsServer;
let worker: Events;
let helper: Events;

beforeAll(async () => {
  nats = await startNatsServer();
  worker = await connectForTest(nats.url, { name: 'worker' });
  helper = await connectForTest(nats.url, { name: 'helper' });
});

afterAll(async () => {
  await worker.close();
  await helper.close();
  await nats.stop();
});

type Reply = NonNullable<MessageInitShape<typeof SubtaskReplySchema>['word']>;

const offerOf = (over: MessageInitShape<typeof SubtaskOfferSchema> = {}): SubtaskOffer =>
  create(SubtaskOfferSchema, {
    phase: 'noop',
    phaseVersion: '1',
    backend: 'cpu-none',
    threads: 1,
    session: 's-1',
    open: 3,
    ...over,
  });
const request = (
  word: NonNullable<MessageInitShape<typeof SubtaskRequestSchema>['word']> = { case: 'claim', value: {} },
): SubtaskRequest => create(SubtaskRequestSchema, { session: 's-1', worker: 'h', word });
const reply = (word: Reply): SubtaskReply => create(SubtaskReplySchema, { word });

/** Bytes as somebody else may send them. */
async function sendRaw(subject: string, data: Uint8Array): Promise<void> {
  const connection = await connect({ servers: nats.url });
  connection.publish(subject, data);
  await connection.flush();
  await connection.close();
}

describe('subtasks', () => {
  it('are offered to who listens to the phase, and asked for', async () => {
    const heard: SubtaskOffer[] = [];
    const hearing = helper.subtasks.hear('noop', (offer) => heard.push(offer));
    const asked: (string | undefined)[] = [];
    const session = worker.subtasks.serve('noop', 's-1', ({ word }) => {
      asked.push(word.case);
      return word.case === 'claim'
        ? reply({ case: 'subtask', value: { lease: 7n, task: taskOf('one'), json: '{"n":1}' } })
        : reply({ case: 'held', value: {} });
    });
    for (;;) {
      worker.subtasks.offer(offerOf());
      worker.subtasks.offer(offerOf({ phase: 'other' }));
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (heard.length > 0) break;
    }
    expect(heard[0]).toEqual(offerOf());
    const claimed = await helper.subtasks.ask('noop', request());
    expect(claimed).toMatchObject({ word: { case: 'subtask', value: { lease: 7n, json: '{"n":1}' } } });
    const answer = { lease: 7n, json: '1' };
    expect(await helper.subtasks.ask('noop', request({ case: 'answer', value: answer }))).toMatchObject({
      word: { case: 'held' },
    });
    expect(asked).toEqual(['claim', 'answer']);
    session.close();
    await until(async () => (await helper.subtasks.ask('noop', request())) === 'nobody');
    hearing.stop();
    expect(heard.every(({ phase }) => phase === 'noop')).toBe(true);
  });

  it('survive what is no message: it gets no answer, and does no harm', async () => {
    const asked: SubtaskRequest[] = [];
    const heard: SubtaskOffer[] = [];
    const hearing = helper.subtasks.hear('noop', (offer) => heard.push(offer));
    const session = worker.subtasks.serve('noop', 's-1', (one) => {
      asked.push(one);
      return reply({ case: 'nothing', value: {} });
    });
    const foreign = create(SubtaskRequestSchema, { ...request(), session: 's-2' });
    const words = [
      Uint8Array.of(255, 255),
      toBinary(SubtaskRequestSchema, create(SubtaskRequestSchema, { session: 's-1', worker: 'h' })),
      toBinary(SubtaskRequestSchema, request({ case: 'answer', value: { lease: 1n, json: '{' } })),
      toBinary(
        SubtaskRequestSchema,
        request({ case: 'answer', value: { json: `"${'x'.repeat(MAX_ANSWER_JSON)}"` } }),
      ),
      toBinary(SubtaskRequestSchema, foreign),
    ];
    for (const data of words) await sendRaw('forge.subtasks.noop.s-1', data);
    for (const over of [{ open: MAX_SUBTASKS + 1 }, { threads: 0 }, { backend: '' }, { phase: 'other' }])
      await sendRaw('forge.subtasks.noop', toBinary(SubtaskOfferSchema, offerOf(over)));
    await sendRaw('forge.subtasks.noop', toBinary(SubtaskOfferSchema, offerOf()));
    await until(() => heard.length > 0);
    expect(heard).toEqual([offerOf()]);
    expect(await helper.subtasks.ask('noop', request())).toMatchObject({ word: { case: 'nothing' } });
    expect(asked).toEqual([request()]);
    session.close();
    hearing.stop();
  });

  it.each<[string, Reply]>([
    ['without a task', { case: 'subtask', value: { lease: 1n, json: '1' } }],
    ['that is no JSON', { case: 'subtask', value: { task: taskOf('one'), json: '' } }],
    [
      'that is too large',
      { case: 'subtask', value: { task: taskOf('one'), json: ' '.repeat(MAX_SUBTASK_JSON + 1) } },
    ],
  ])('are not taken from a worker that says one %s', async (_, word) => {
    const connection = await connect({ servers: nats.url });
    connection.subscribe('forge.subtasks.noop.s-1', {
      callback: (_error, message) => void message.respond(toBinary(SubtaskReplySchema, reply(word))),
    });
    await connection.flush();
    expect(await helper.subtasks.ask('noop', request())).toBeUndefined();
    await connection.close();
  });
});

describe('answers of subtasks', () => {
  const key = (digit: string) => digit.repeat(64);

  it('are found by key, within their project', async () => {
    expect(await worker.answers.get('p', key('1'))).toBeUndefined();
    expect(await worker.answers.put('p', key('1'), '{"loss":0.1}')).toBe(true);
    expect(await helper.answers.get('p', key('1'))).toBe('{"loss":0.1}');
    expect(await helper.answers.get('q', key('1'))).toBeUndefined();
    await expect(worker.answers.get('p', 'no key')).rejects.toThrow(/answer key/);
    await expect(worker.answers.put('*', key('1'), '1')).rejects.toThrow(/project/);
  });

  it('are none when they cannot be read', async () => {
    await worker.answers.put('p', key('2'), '{');
    await worker.answers.put('p', key('3'), `"${'x'.repeat(MAX_ANSWER_JSON)}"`);
    expect(await worker.answers.get('p', key('2'))).toBeUndefined();
    expect(await worker.answers.get('p', key('3'))).toBeUndefined();
  });

  it('go after a while, and none is kept beyond the bound', async () => {
    const server = await startNatsServer();
    const topology = { answerAgeMs: 1_000, maxAnswerBytes: 4_096, deduplicationMs: 500 };
    const events = await connectEvents({ servers: server.url, name: 'small', topology });
    const json = JSON.stringify('x'.repeat(1_000));
    const kept = [];
    for (const digit of ['1', '2', '3', '4', '5', '6'])
      kept.push(await events.answers.put('p', key(digit), json));
    expect(kept[0]).toBe(true);
    expect(kept.at(-1)).toBe(false);
    await until(async () => (await events.answers.get('p', key('1'))) === undefined);
    await until(() => events.answers.put('p', key('7'), json));
    await events.close();
    await server.stop();
  });
});
