// Merges tensors for sections/merging.mjs: a case's number per line in, seconds and a sum of the result out.
import { createInterface } from 'node:readline';
import { merge, Philox, scope, selectDevice, tensor } from '@agentforge/tensor';

const { cases, shape, threads } = JSON.parse(process.argv[2]);
selectDevice('cpu', { threads });

/** A multiplier per model, so that differences of models have as many values as the models. */
const MULTIPLIERS = [2654435761, 2246822519, 3266489917, 668265263];

/** The same numbers as mergekit_merge.py: small integers over a power of two, exact in f32. */
function values(model) {
  const [rows, columns] = shape;
  const filled = new Float32Array(rows * columns);
  for (let i = 0; i < filled.length; i++)
    filled[i] = (((Math.imul(i, MULTIPLIERS[model]) >>> 8) & 0xffff) - 32768) / 32768;
  return tensor(filled, shape).keep();
}

const base = values(0);
const all = [1, 2, 3].map(values);

const METHODS = {
  linear: (models) => merge.linear(models, [1, 1, 1]),
  slerp: ([a, b]) => merge.slerp(a, b, 0.5),
  nuslerp: ([a, b]) => merge.nuslerp([a, b], [1, 1]),
  karcher: (models) => merge.karcher(models),
  model_stock: (models) => merge.modelStock(base, models),
  task_arithmetic: (models, options) => merge.taskArithmetic(base, models, options),
  ties: (models, options) => merge.ties(base, models, options),
  dare_ties: (models, options) => merge.dareTies(base, models, options),
  breadcrumbs: (models, options) => merge.breadcrumbs(base, models, options),
  della: (models, options) => merge.della(base, models, options),
  sce: (models) => merge.sce(base, models),
  arcee_fusion: ([model]) => merge.arceeFusion(base, model),
};

console.log('{}');
for await (const line of createInterface({ input: process.stdin })) {
  const { method, models, parameters } = cases[Number(line)];
  const chosen = all.slice(0, models);
  const options = {
    weights: chosen.map(() => parameters.weight ?? 1),
    density: parameters.density,
    stream: new Philox(1),
  };
  const answer = scope(() => {
    const started = performance.now();
    const result = METHODS[method](chosen, options);
    const seconds = (performance.now() - started) / 1000;
    let sum = 0;
    for (const element of result.toFloat32Array()) sum += Math.abs(element);
    return { seconds, sum };
  });
  console.log(JSON.stringify(answer));
}
