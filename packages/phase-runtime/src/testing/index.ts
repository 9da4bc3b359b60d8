export { BENCH_RUN, eventually, PhaseBench } from './phase-bench.js';
