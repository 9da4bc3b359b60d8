import { createServer } from 'node:http';
import { Samples } from '../samples.mjs';
import { BenchSystem } from '../system.mjs';
import { startLoad, steadyLoad } from './throughput.mjs';

/** How often metrics are scraped, ms. */
const SCRAPE_MS = 2_000;
const SERVICES = ['orchestrator', 'pipeline-controller'];
const WARM_UP_S = 3;
/** Load of one system at a time, s: short, so that what disturbs the machine meets all of them. */
const SLICE_S = 3;
/** Share of the traces that a busy installation keeps. */
const SAMPLED = 0.01;

/**
 * What telemetry costs: systems beside each other that differ in nothing else, under load in turn. Metrics are always
 * counted; "off" writes no log lines, exports no traces, and nobody scrapes.
 */
export async function run(context) {
  const { rounds, runs, record, say } = context;
  const collector = await sink();
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.address().port}` };
  const sampler = {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(SAMPLED),
  };
  const variants = [
    { name: 'off', env: { FORGE_LOG_LEVEL: 'silent' }, isScraped: false },
    { name: 'logs and metrics', env: {}, isScraped: true },
    { name: `and ${SAMPLED * 100} % of traces`, env: { ...endpoint, ...sampler }, isScraped: true },
    { name: 'and all traces', env: endpoint, isScraped: true },
  ];
  try {
    for (const variant of variants) {
      variant.system = await BenchSystem.start({ ...context, env: variant.env });
      variant.worker = await variant.system.fastWorker();
    }
    const results = [];
    for (let round = 0; round < rounds; round++) {
      const figures = [];
      // Every other round goes backwards, so that drift favours nobody.
      const order = round % 2 === 0 ? variants : [...variants].reverse();
      for (const variant of order)
        figures[variants.indexOf(variant)] = await measured(variant, { runs, round });
      results.push(figures);
      say(
        `  round ${round + 1} of ${rounds}: ${figures.map(({ rate }) => rate.toFixed(0)).join(', ')} steps/s`,
      );
    }
    const shape = (name) => `${name}; ${rounds} rounds, medians`;
    for (const [i, { name }] of variants.entries()) {
      if (i === 0) continue;
      const median = (of) => new Samples(results.map((figures) => of(figures[i], figures[0]) * 100)).median;
      const bound =
        'log lines are formatted and written, spans are made, batched and sent by the service itself';
      // Throughput: how much less; CPU: how much more. Both are positive when telemetry costs something.
      const lost = median((on, off) => 1 - on.rate / off.rate);
      record({ name: 'telemetry, throughput lost', shape: shape(name), value: lost, unit: '%', bound });
      const more = median((on, off) => on.cpuMs / off.cpuMs - 1);
      record({ name: 'telemetry, CPU of a step', shape: shape(name), value: more, unit: '% more', bound });
    }
  } finally {
    await Promise.all(variants.map(({ system }) => system?.stop()));
    collector.close();
    collector.closeAllConnections();
  }
}

/** Steps per second, and CPU of orchestrator and front door per step, while nobody else has load. */
async function measured({ system, worker, isScraped }, { runs, round }) {
  // The first time compilers and caches are cold.
  await startLoad(worker, runs, round === 0 ? WARM_UP_S : 0.5);
  const scraping = isScraped ? setInterval(() => scrape(system), SCRAPE_MS) : undefined;
  try {
    const { rate, steps, cpu } = await steadyLoad(system, worker, SLICE_S);
    const cpuMs = (SERVICES.reduce((sum, name) => sum + cpu[name], 0) * 1000) / steps;
    return { rate, cpuMs };
  } finally {
    clearInterval(scraping);
    await worker.call('unload');
  }
}

async function scrape(system) {
  for (const name of SERVICES) {
    const answer = await fetch(`http://${system.httpOf(name)}/metrics`).catch(() => undefined);
    await answer?.text();
  }
}

/** A collector that takes everything and keeps nothing. */
function sink() {
  const server = createServer((request, response) => {
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
