export { EvictingMachine } from './evicting-machine.js';
export { BENCH_RUN, eventually, metricOf, PhaseBench, startedBy } from './phase-bench.js';
export { digestsOfResumedWork, digestsOfWork, type WorkUnderTest } from './resumed-work.js';
export { schemaGaps } from './schema-gaps.js';
