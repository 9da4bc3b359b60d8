import { CreateRunRequestSchema, GetRunRequestSchema } from '@agentforge/contracts';
import { create, toBinary } from '@bufbuild/protobuf';
import { lanes } from '../graphs.mjs';
import { busyCores } from '../processes.mjs';
import { profiled } from '../profile.mjs';
import { Samples } from '../samples.mjs';
import { BenchSystem, eventually, PROJECT } from '../system.mjs';

const SERVICE = '/agentforge.pipeline.v1.PipelineService';
/** Runs that exist; requests ask for them in turn. */
const RUNS = 20;
/** Requests per second that one generator sends without being late itself. */
const RATE_PER_GENERATOR = 2_500;
const CONNECTIONS = 4;
/** Time until all generators begin together, ms. */
const LEAD_MS = 500;
/** What generators and the front door compile their code with before they are measured; at most the rate itself. */
const WARM_UP = { rate: 1_000, durationMs: 5_000 };
/** Creations per second: each is an append, and a run that is executed. */
const CREATE_RATE = 20;

/** Rate at which nothing may be refused with the limits that a service has when nobody sets them. */
const USUAL_RATE = 1_000;
/** Few clients stand for many: none meets a limit of its own. What all may have together is as it is. */
const WIDE = {
  FORGE_CLIENT_CALLS_PER_SECOND: '1000000',
  FORGE_CLIENT_SHARE: '1',
};

/** Unary calls through the front door at fixed rates. */
export async function run(context) {
  await withoutLimits(context);
  await withDefaultLimits(context);
}

/** One client, and the limits of a service as it is installed. */
async function withDefaultLimits(context) {
  const system = await BenchSystem.start(context);
  try {
    const requests = await finishedRuns(system, await system.fastWorker());
    const asked = { method: 'GetRun', requests, rate: USUAL_RATE, durationMs: context.seconds * 1000 };
    const { failures, total, latencies, used } = await load(system, asked);
    const refused = failures.get('RESOURCE_EXHAUSTED') ?? 0;
    context.record({
      name: 'refused with default limits',
      shape: `GetRun, one client, ${USUAL_RATE.toLocaleString('en-US')} req/s`,
      value: (refused * 100) / total,
      unit: '%',
      bound: `with default limits: ${busyCores(used, context.cores)}; p99 ${latencies.quantile(0.99).toFixed(1)} ms`,
    });
    for (const [code, count] of failures) context.say(`  ${count} requests failed: ${code}`);
  } finally {
    await system.stop();
  }
}

async function withoutLimits(context) {
  const system = await BenchSystem.start({ ...context, env: WIDE });
  try {
    const worker = await system.fastWorker();
    const requests = await finishedRuns(system, worker);
    const graph = lanes('instant', 1, 1);
    const creation = toBinary(
      CreateRunRequestSchema,
      create(CreateRunRequestSchema, { parent: PROJECT, graph }),
    );
    await atRate(system, context, 'CreateRun', [creation], CREATE_RATE);
    for (const rate of context.rates) {
      await system.untilAtRest(['pipeline-controller']);
      await atRate(system, context, 'GetRun', requests, rate);
    }
  } finally {
    await system.stop();
  }
}

async function atRate(system, context, method, requests, rate) {
  const { seconds, record, cores } = context;
  const asked = { method, requests, rate, durationMs: seconds * 1000 };
  const result = await profiled(system, ['pipeline-controller'], context, `rpc-${method}-${rate}`, () =>
    load(system, asked),
  );
  const { used } = result;
  const { latencies, answeredLatencies, lags, failures, total, answered, achievedRate } = result;
  const refused = failures.get('RESOURCE_EXHAUSTED') ?? 0;
  const shape = `${method}, ${rate.toLocaleString('en-US')} req/s`;
  const bound = `${shape}: ${busyCores(used, cores)}; requests were sent ${lags.quantile(0.99).toFixed(1)} ms late or less (p99)`;
  for (const [share, name] of [
    [0.5, 'p50'],
    [0.99, 'p99'],
    [0.999, 'p99.9'],
  ])
    record({ name: `unary RPC ${name}`, shape, value: latencies.quantile(share), unit: 'ms', bound });
  if (answered > 0)
    record({
      name: 'unary RPC answered p99',
      shape,
      value: answeredLatencies.quantile(0.99),
      unit: 'ms',
      bound,
    });
  const percent = (count) => (count * 100) / total;
  record({ name: 'unary RPC achieved', shape, value: achievedRate, unit: '/s', bound });
  record({ name: 'unary RPC answered', shape, value: percent(answered), unit: '%', bound });
  record({ name: 'unary RPC refused', shape, value: percent(refused), unit: '%', bound });
  record({ name: 'unary RPC failed', shape, value: percent(total - answered - refused), unit: '%', bound });
  record({ name: 'generator lag p99', shape, value: lags.quantile(0.99), unit: 'ms', bound });
  record({
    name: 'front door CPU of a request',
    shape,
    value: (used.cpu['pipeline-controller'] * 1000) / total,
    unit: 'ms',
    bound,
  });
  for (const [code, count] of failures) context.say(`  ${count} requests failed: ${code}`);
  context.curve(shape, latencies);
}

/** All generators together send at a rate, once they are warm; their samples are one set. */
async function load(system, { method, requests, rate, durationMs }) {
  const count = Math.ceil(rate / RATE_PER_GENERATOR);
  const generators = await system.generators(count);
  const together = (wanted, lengthMs) => {
    const startAtMs = Date.now() + LEAD_MS;
    const asked = generators.map((generator, i) =>
      generator.call('rpc', {
        server: system.server,
        path: `${SERVICE}/${method}`,
        requests,
        rate: wanted / count,
        durationMs: lengthMs,
        // Their requests fall between each other.
        startAtMs: startAtMs + (i * 1000) / wanted,
        connectionCount: CONNECTIONS,
        tenant: `bench-${i + 1}`,
      }),
    );
    return Promise.all(asked);
  };
  try {
    await together(Math.min(rate, WARM_UP.rate), WARM_UP.durationMs);
    const window = system.cpuWindow();
    const results = await together(rate, durationMs);
    const used = window.read();
    const failures = new Map();
    for (const [code, times] of results.flatMap((one) => [...one.failures]))
      failures.set(code, (failures.get(code) ?? 0) + times);
    const sum = (name) => results.reduce((total, one) => total + one[name], 0);
    return {
      latencies: Samples.merged(results.map(({ latencies }) => new Samples(latencies))),
      answeredLatencies: Samples.merged(
        results.map(({ answeredLatencies }) => new Samples(answeredLatencies)),
      ),
      lags: Samples.merged(results.map(({ lags }) => new Samples(lags))),
      failures,
      used,
      total: sum('total'),
      answered: sum('answered'),
      achievedRate: sum('achievedRate'),
    };
  } finally {
    await Promise.all(generators.map((generator) => system.dismiss(generator)));
  }
}

/** Requests for runs that have ended, encoded. */
async function finishedRuns({ pipeline }, worker) {
  const graph = lanes('instant', 3, 3);
  const names = [];
  for (let i = 0; i < RUNS; i++) names.push((await worker.call('create', { graph })).name);
  await eventually('end of the runs', async () => {
    const last = await pipeline.getRun({ name: names.at(-1), view: 1 });
    return last.run.endTime !== undefined;
  });
  return names.map((name) => toBinary(GetRunRequestSchema, create(GetRunRequestSchema, { name })));
}
