// Sends requests to the front door, or watches a run, in a process of its own: the event loop that measures does nothing
// else. Plain gRPC with bytes that are encoded beforehand, so that the client costs as little as a client can.
import { setTimeout as sleep } from 'node:timers/promises';
import { WatchRunResponseSchema } from '@agentforge/contracts';
import { CONTEXT_HEADERS } from '@agentforge/telemetry';
import { fromBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { openLoop } from './open-loop.mjs';
import { serve } from './remote.mjs';
import { framed, UnaryClient } from './unary-client.mjs';

const DEADLINE_MS = 10_000;
const asIs = (bytes) => Buffer.from(bytes);

let watchers = [];
/** Connections of the watchers. */
let watching = [];

/** Connections of their own, not the process-wide ones. */
function connections(server, count) {
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  return Array.from({ length: count }, () => new Client(server, credentials.createInsecure(), options));
}

function connected(clients) {
  const ready = (client) =>
    new Promise((resolve, reject) => {
      client.waitForReady(Date.now() + DEADLINE_MS, (error) => (error ? reject(error) : resolve()));
    });
  return Promise.all(clients.map(ready));
}

serve({
  /**
   * Sends requests at a fixed rate.
   * @param path       of the method
   * @param requests   encoded; they take turns
   * @param startAtMs  when the first is due, epoch
   * @param tenant     who asks: the front door limits each client by itself
   */
  async rpc({ server, path, requests, rate, durationMs, startAtMs, connectionCount, tenant }) {
    const client = new UnaryClient({
      ...{ server, path, tenant, tenantHeader: CONTEXT_HEADERS.tenant, deadlineMs: DEADLINE_MS },
    });
    await client.open(connectionCount);
    const frames = requests.map(framed);
    const send = (i) => client.call(frames[i % frames.length]);
    const startAt = startAtMs - performance.timeOrigin;
    const result = await openLoop({ rate, durationMs, send, startAt });
    client.close();
    const { latencies, answeredLatencies, lags, ...rest } = result;
    return {
      ...rest,
      latencies: latencies.values().slice(),
      answeredLatencies: answeredLatencies.values().slice(),
      lags: lags.values().slice(),
    };
  },

  /** Connects, so that watching can begin at once. */
  async connect({ server, connectionCount }) {
    watching = connections(server, connectionCount);
    await connected(watching);
  },

  /** Watches a run several times; returns when every watcher has the run as it stands. */
  async watch({ request, count }) {
    const clients = watching;
    const first = [];
    watchers = Array.from({ length: count }, (_, i) => {
      const call = clients[i % clients.length].makeServerStreamRequest(
        '/agentforge.pipeline.v1.PipelineService/WatchRun',
        asIs,
        (bytes) => bytes,
        request,
      );
      const watcher = { revisions: [], times: [], error: undefined, call };
      first.push(new Promise((resolve, reject) => call.once('data', resolve).once('error', reject)));
      watcher.ended = new Promise((resolve) => {
        call.on('error', (error) => {
          watcher.error = error.message;
          resolve();
        });
        call.on('end', resolve);
      });
      call.on('data', (bytes) => {
        // The clock that the server stamps its messages with.
        const at = Date.now();
        const { update, revision } = fromBinary(WatchRunResponseSchema, bytes);
        if (update.case !== 'event') return;
        watcher.revisions.push(Number(revision));
        watcher.times.push(at);
      });
      return watcher;
    });
    await Promise.all(first);
  },

  /** Waits until every watcher has had an event. @returns the time then, epoch ms */
  async live() {
    while (watchers.some(({ times, error }) => times.length === 0 && error === undefined)) await sleep(20);
    return Date.now();
  },

  /** What every watcher saw, once the run has ended. */
  async watched() {
    await Promise.all(watchers.map(({ ended }) => ended));
    const seen = watchers.map(({ revisions, times, error }) => ({ revisions, times, error }));
    watchers = [];
    return seen;
  },
});
