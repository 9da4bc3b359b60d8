import { createMetrics } from '@agentforge/telemetry';
import { CurveMetrics } from './curve-metrics.js';

const point = (series: string, value: number) => ({ series, subject: 'a', step: 1, value });

describe('CurveMetrics', () => {
  it('tells the newest losses by split and the best fitness, and nothing once no step runs', async () => {
    const metrics = createMetrics('test');
    const curves = new CurveMetrics('cognate', metrics);
    const lines = async () =>
      (await metrics.expose()).text.split('\n').filter((line) => /^forge_(training|fitness)/.test(line));
    curves.note([point('loss', 3), point('loss/fitness', 4), point('diversity', 9)]);
    curves.note([point('loss', 2.5), point('fitness/best', -1.5)]);
    const labels = 'phase="cognate"';
    expect((await lines()).sort()).toEqual([
      `forge_fitness_best{${labels},forge_service="test"} -1.5`,
      `forge_training_loss_nats{${labels},split="fitness",forge_service="test"} 4`,
      `forge_training_loss_nats{${labels},split="train",forge_service="test"} 2.5`,
    ]);
    curves.clear();
    expect(await lines()).toEqual([]);
  });
});
