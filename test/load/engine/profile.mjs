import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Lines of a summary. */
const TOP = 12;
/** Waiting, and the profiler's own start and stop. */
const NOT_WORK = new Set(['(idle)', '(program)', 'dispatch']);

/**
 * Where the time of a CPU profile went: packages by the time that their own functions ran.
 * @param profile  as V8 writes it: nodes, samples, timeDeltas (µs)
 * @returns [{what, ms, share}], longest first; share of all time in functions and collections
 */
export function hotSpots({ nodes, samples, timeDeltas }, nameOf = placeOf) {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const spent = new Map();
  for (const [i, id] of samples.entries()) {
    const frame = byId.get(id);
    if (NOT_WORK.has(frame.functionName) && frame.url === '') continue;
    const what = nameOf(frame);
    spent.set(what, (spent.get(what) ?? 0) + timeDeltas[i] / 1000);
  }
  const total = [...spent.values()].reduce((sum, ms) => sum + ms, 0);
  return [...spent]
    .map(([what, ms]) => ({ what, ms, share: total === 0 ? 0 : ms / total }))
    .sort((a, b) => b.ms - a.ms);
}

/** Package or program part of a frame: `@grpc/grpc-js`, `packages/events`, `(garbage collector)`, `node:net`. */
export function placeOf({ functionName, url }) {
  if (url === '') return functionName.startsWith('(') ? functionName : 'node (native)';
  if (url.startsWith('node:')) return url.split('/')[0];
  const installed = url.lastIndexOf('/node_modules/');
  if (installed >= 0) {
    const [scope, name] = url.slice(installed + '/node_modules/'.length).split('/');
    return scope.startsWith('@') ? `${scope}/${name}` : scope;
  }
  return /\/((?:packages|services)\/[^/]+)\//.exec(url)?.[1] ?? url;
}

/** Function of a frame, with its place. */
export function functionOf(frame) {
  return `${frame.functionName || '(anonymous)'} in ${placeOf(frame)}`;
}

/**
 * Profiles services while something happens, keeps the profiles in a folder and says where the time went.
 * @param folder  undefined: only does it
 */
export async function profiled(system, services, { profile: folder, say }, title, work) {
  if (folder === undefined) return work();
  mkdirSync(folder, { recursive: true });
  for (const name of services) await system.observe(name, 'profile-start');
  const value = await work();
  for (const name of services) {
    const { file } = await system.observe(name, 'profile-stop');
    const kept = join(folder, `${title}-${name}.cpuprofile`);
    copyFileSync(file, kept);
    const profile = JSON.parse(readFileSync(file, 'utf8'));
    const line = ({ what, share }) => `${(share * 100).toFixed(1)} % ${what}`;
    say(`  ${kept}`);
    say(`    packages: ${hotSpots(profile).slice(0, TOP).map(line).join(', ')}`);
    say(`    functions: ${hotSpots(profile, functionOf).slice(0, TOP).map(line).join(', ')}`);
  }
  return value;
}
