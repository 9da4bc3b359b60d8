/**
 * Holds what was promised against what is recorded: the log of every run, what watchers were shown, and the journals
 * that the probes wrote outside of everything under test. Pure; each rule is a function that returns violations.
 */

import { RunState, StepState } from '@agentforge/contracts';
import { foldRun, isTerminalRun, stepSeedOf } from '@agentforge/events';
import { expectedDigest } from '../probe-phase/outcome.mjs';
import { journalKey } from './graphs.mjs';

/**
 * How far back a checkpoint must have been committed before an execution began, so that the execution had to know it:
 * the time between looking it up and the first line in the journal. Longer while another execution of the same step
 * was still writing, because both may look up before either commits.
 */
const KNOWN_AFTER_MS = { alone: 2_000, beside: 15_000 };

/** @param history  accepted, batches, seen, journal, checkpointUnits; see README.md  @returns the report's figures */
export function check(history) {
  const folded = foldAll(history);
  const violations = [
    ...folded.violations,
    ...lostRuns(history),
    ...lostEvents(history),
    ...gaps(history),
    ...doubledBatches(history),
    ...doubledSteps(history),
    ...notTerminal(history, folded.states),
    ...wrongEnds(history, folded.states),
    ...wrongDigests(history, folded.states),
    ...undoneUnits(history, folded.states),
    ...redoneUnits(history),
  ];
  const count = (...rules) => violations.filter(({ rule }) => rules.includes(rule)).length;
  const units = history.journal.filter(({ kind }) => kind === 'unit');
  return {
    runs: history.accepted.length,
    steps: [...folded.states.values()].reduce((sum, { steps }) => sum + steps.length, 0),
    transitionsChecked: [...history.batches.values()]
      .flat()
      .reduce((sum, { events }) => sum + events.length, 0),
    unitsDone: units.length,
    unitsRedone: units.length - new Set(units.map(({ key, unit }) => `${key} ${unit}`)).size,
    lost: count('lost-run', 'lost-event', 'gap'),
    doubled: count('doubled-batch', 'doubled-step', 'illegal'),
    notTerminal: count('not-terminal'),
    digestMismatches: count('digest', 'wrong-end', 'undone'),
    redoneBeyondPromise: violations.reduce((sum, { redone = 0 }) => sum + redone, 0),
    violations,
  };
}

/** The state of every run; an event that the state does not allow is a violation, and ends the folding of its run. */
function foldAll({ batches }) {
  const states = new Map();
  const violations = [];
  for (const [run, list] of batches) {
    let state;
    try {
      for (const batch of list) state = foldRun(state, batch, batch.revision);
    } catch (error) {
      violations.push({ rule: 'illegal', run, detail: error.message });
    }
    if (state) states.set(run, state);
  }
  return { states, violations };
}

function lostRuns({ accepted, batches }) {
  return accepted
    .filter(({ name }) => !batches.has(name))
    .map(({ name }) => ({ rule: 'lost-run', run: name, detail: 'was accepted, and is not in the log' }));
}

function lostEvents({ seen, batches }) {
  const known = new Set();
  for (const { run, revision, digests } of [...batches.values()].flat())
    for (const digest of digests) known.add(`${run} ${revision} ${digest}`);
  const lost = new Set(
    seen.map((one) => `${one.run} ${one.revision} ${one.digest}`).filter((one) => !known.has(one)),
  );
  return [...lost].map((one) => {
    const [run, revision] = one.split(' ');
    return {
      rule: 'lost-event',
      run,
      detail: `an event of revision ${revision} was shown, and is not in the log`,
    };
  });
}

/** A batch names the revision that it was decided on: the one before it in the run. */
function gaps({ batches }) {
  return [...batches].flatMap(([run, list]) =>
    list.flatMap(({ revision, previousRevision }, i) => {
      const before = i === 0 ? 0n : list[i - 1].revision;
      if (previousRevision === undefined || previousRevision === before) return [];
      return [
        { rule: 'gap', run, detail: `revision ${revision} follows ${previousRevision}, not ${before}` },
      ];
    }),
  );
}

/** The same events, decided in the same moment by the same replica, are there once. */
function doubledBatches({ batches }) {
  return [...batches].flatMap(([run, list]) => {
    const known = new Set();
    return list.flatMap(({ revision, digests }) => {
      const key = digests.join(' ');
      if (known.has(key))
        return [{ rule: 'doubled-batch', run, detail: `revision ${revision} repeats an earlier one` }];
      known.add(key);
      return [];
    });
  });
}

/** A step completes once, an attempt is scheduled, reports and fails once. No probe run is retried. */
function doubledSteps({ batches }) {
  const once = {
    stepCompleted: 'stepId',
    stepScheduled: 'attemptId',
    stepReported: 'attemptId',
    stepAttemptFailed: 'attemptId',
  };
  return [...batches].flatMap(([run, list]) => {
    const known = new Set();
    return list.flatMap(({ events }) =>
      events.flatMap(({ payload }) => {
        const field = once[payload.case];
        if (field === undefined) return [];
        const key = `${payload.case} ${payload.value[field]}`;
        if (known.has(key)) return [{ rule: 'doubled-step', run, detail: `${key} twice` }];
        known.add(key);
        return [];
      }),
    );
  });
}

function notTerminal({ accepted }, states) {
  return accepted.flatMap(({ name }) => {
    const state = states.get(name);
    if (state === undefined || isTerminalRun(state.state)) return [];
    const open = state.steps
      .toArray()
      .filter((step) => step.state !== StepState.COMPLETED)
      .map((step) => `${step.spec.id} ${StepState[step.state]}`);
    return [{ rule: 'not-terminal', run: name, detail: `${RunState[state.state]}: ${open.join(', ')}` }];
  });
}

/** Left alone, every probe run completes. */
function wrongEnds(_, states) {
  return [...states].flatMap(([run, { state, failure }]) =>
    isTerminalRun(state) && state !== RunState.COMPLETED
      ? [{ rule: 'wrong-end', run, detail: `${RunState[state]}: ${failure?.message ?? ''}` }]
      : [],
  );
}

function wrongDigests({ accepted }, states) {
  return accepted.flatMap(({ name, graph }) => {
    const outputs = new Map();
    const of = (id) =>
      states
        .get(name)
        ?.steps.toArray()
        .find(({ spec }) => spec.id === id);
    return graph.steps.flatMap(({ id, config, inputs }) => {
      const sources = inputs.map(({ source }) => outputs.get(source.value.stepId));
      const expected = expectedDigest(config, stepSeedOf(graph.seed, { id }), sources);
      outputs.set(id, expected);
      const step = of(id);
      if (step?.state !== StepState.COMPLETED) return [];
      const actual = step.result?.outputs[0]?.artifacts[0]?.digest;
      return actual === expected
        ? []
        : [{ rule: 'digest', run: name, detail: `${id} delivered ${actual}, undisturbed ${expected}` }];
    });
  });
}

/** What is called complete was done: every unit is in the journal. */
function undoneUnits({ accepted, journal }, states) {
  const done = new Set(
    journal.filter(({ kind }) => kind === 'unit').map(({ key, unit }) => `${key} ${unit}`),
  );
  return accepted.flatMap(({ name, runId, graph }) =>
    graph.steps.flatMap(({ id, config }) => {
      const step = states
        .get(name)
        ?.steps.toArray()
        .find(({ spec }) => spec.id === id);
      if (step?.state !== StepState.COMPLETED) return [];
      const key = journalKey(runId, id);
      const missing = Array.from({ length: config.units }, (_, unit) => unit).filter(
        (unit) => !done.has(`${key} ${unit}`),
      );
      return missing.length === 0
        ? []
        : [{ rule: 'undone', run: name, detail: `${id} is complete without unit ${missing[0]}` }];
    }),
  );
}

/** An execution goes on from the newest checkpoint that was committed before it began, or from a later one. */
function redoneUnits(history) {
  const commits = commitsByKey(history);
  const lives = livesByKey(history.journal);
  return [...lives].flatMap(([key, executions]) =>
    executions.flatMap(({ life, beganMs, from }) => {
      const isBeside = executions.some(
        (other) =>
          other.life !== life && other.beganMs <= beganMs && other.lastMs > beganMs - KNOWN_AFTER_MS.alone,
      );
      const beforeMs = beganMs - (isBeside ? KNOWN_AFTER_MS.beside : KNOWN_AFTER_MS.alone);
      const known = (commits.get(key) ?? [])
        .filter(({ timeMs }) => timeMs < beforeMs)
        .map(({ unit }) => unit);
      const newest = Math.max(0, ...known);
      if (from >= newest) return [];
      const detail = `${key} went on from unit ${from}, a checkpoint at ${newest} was committed`;
      return [{ rule: 'redone', run: key.slice(0, key.lastIndexOf('.')), detail, redone: newest - from }];
    }),
  );
}

function commitsByKey({ accepted, batches, checkpointUnits }) {
  const commits = new Map();
  for (const { name, runId } of accepted)
    for (const { timeMs, events } of batches.get(name) ?? [])
      for (const { payload } of events) {
        if (payload.case !== 'stepCheckpointed') continue;
        const key = journalKey(runId, payload.value.stepId);
        const unit = checkpointUnits.get(payload.value.checkpoint?.digest) ?? 0;
        commits.set(key, [...(commits.get(key) ?? []), { timeMs, unit }]);
      }
  return commits;
}

/** Executions of each step: when they began and last wrote, and the unit they went on from. */
function livesByKey(journal) {
  const keys = new Map();
  for (const { key, life, kind, unit, timeMs } of journal) {
    const lives = keys.get(key) ?? new Map();
    keys.set(key, lives);
    if (kind === 'begin') lives.set(life, { life, beganMs: timeMs, lastMs: timeMs, from: unit });
    else if (lives.has(life)) lives.get(life).lastMs = timeMs;
  }
  return new Map([...keys].map(([key, lives]) => [key, [...lives.values()]]));
}
