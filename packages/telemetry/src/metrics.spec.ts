import { createMetrics, MAX_SERIES } from './index.js';

describe('Metrics', () => {
  it('exposes counters, gauges and histograms with the name of the service', async () => {
    const metrics = createMetrics('test');
    metrics.counter('deadLetters').inc({ stream: 'tasks' });
    metrics.counter('deadLetters').inc({ stream: 'tasks' }, 2);
    metrics.gauge('runsActive').set({ state: 'running' }, 4);
    metrics.histogram('stepDuration').observe({ phase: 'cognate', outcome: 'ok' }, 12);
    const { text } = await metrics.expose();
    expect(text).toMatch(/^forge_dead_letters_total{.*stream="tasks".*} 3$/m);
    expect(text).toMatch(/^forge_runs_active{.*state="running".*} 4$/m);
    expect(text).toMatch(/^forge_step_duration_seconds_bucket{.*le="15".*} 1$/m);
    expect(text).toContain('forge_service="test"');
  });

  it('keeps two services in one process apart', async () => {
    const [one, two] = [createMetrics('one'), createMetrics('two')];
    one.counter('artifactsCollected').inc({});
    expect((await two.expose()).text).not.toContain('forge_artifacts_collected_total');
  });

  it('reads a collected gauge at each scrape and forgets what is gone', async () => {
    const metrics = createMetrics('test');
    let phases = ['cognate', 'evomerge'];
    metrics.gauge('stepsInFlight').collect(() => phases.map((phase) => ({ labels: { phase }, value: 1 })));
    expect((await metrics.expose()).text).toContain('phase="evomerge"');
    phases = ['cognate'];
    expect((await metrics.expose()).text).not.toContain('phase="evomerge"');
  });

  it('folds series above the bound into one', async () => {
    const metrics = createMetrics('test');
    const counter = metrics.counter('deadLetters');
    for (let index = 0; index < MAX_SERIES + 25; index += 1) counter.inc({ stream: `s${index}` });
    const { text } = await metrics.expose();
    expect(text.match(/^forge_dead_letters_total{/gm)).toHaveLength(MAX_SERIES + 1);
    expect(text).toMatch(/^forge_dead_letters_total{.*stream="other".*} 25$/m);
    expect(text).toMatch(/^forge_telemetry_series_folded_total{.*metric="forge_dead_letters_total".*} 25$/m);
  });
});
