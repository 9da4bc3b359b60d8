/**
 * What is aimed for, by the name (and shape) of a figure, and what others publish for the same. A figure without a line
 * here is information.
 */
const TARGETS = [
  {
    name: /^step overhead, engine p50$/,
    most: 10,
    reference: 'Temporal TypeScript SDK, published',
    referenceValue: 76,
  },
  { name: /^step overhead, end to end p50$/, most: 10 },
  { name: /^step overhead, .* p99$/, most: 50 },
  {
    name: /^steps per second$/,
    least: 500,
    reference: 'Hatchet on 4 vCPU, published',
    referenceValue: 60,
  },
  {
    name: /^unary RPC p99$/,
    shape: / 1,000 req\/s$/,
    most: 50,
    reference: 'requirement',
    referenceValue: 200,
  },
  { name: /^unary RPC failed$/, most: 0 },
  { name: /^refused with default limits$/, most: 0 },
  { name: /^resume after SIGKILL p99$/, most: 5, reference: 'Hatchet, published', referenceValue: 38 },
  { name: /^page of .* steps, slowest$/, most: 300 },
  { name: /^telemetry, throughput lost$/, most: 1 },
  // As long as a call may take: who watches does not wait longer than who asks.
  { name: /^commit to watcher p99$/, shape: /^100 watchers/, most: 50 },
  // A graph of 10,000 steps takes less than 40 MiB of a service.
  { name: /^memory of a step, /, shape: /^10,000 steps/, most: 4 },
  // Meant for 100,000 runs, so fewer must not take longer either.
  { name: /^start with finished runs$/, most: 5 },
];

/**
 * The figure with its reference, target and verdict, in the order in which they are printed. A ratio above 1 means that
 * ours is better; what is aimed for has a direction: at most, or at least.
 */
export function judged({ name, shape = '', value, unit, bound = '' }) {
  const line = TARGETS.find((one) => one.name.test(name) && (one.shape?.test(shape) ?? true));
  const { reference = null, referenceValue = null, most, least } = line ?? {};
  const target = most ?? least ?? null;
  const ratio =
    referenceValue === null ? null : most === undefined ? value / referenceValue : referenceValue / value;
  const met = target === null ? null : most === undefined ? value >= least : value <= most;
  return { name, shape, value, unit, reference, referenceValue, ratio, target, met, bound };
}
