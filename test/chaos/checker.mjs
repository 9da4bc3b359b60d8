/**
 * Holds what was promised against what is recorded: the log of every run, what watchers were shown, and the journals
 * that the probes wrote outside of everything under test. Pure; each rule is a function that returns violations.
 */

import { CachePolicy, RunState, StepState } from '@agentforge/contracts';
import { foldRun, isTerminalRun, stepSeedOf } from '@agentforge/events';
import { expectedDigest } from '../probe-phase/outcome.mjs';
import { isHopeless, journalKey } from './graphs.mjs';

/**
 * How far back a checkpoint must have been committed before an execution began, so that the execution had to know it:
 * the time between looking it up and the first line in the journal. Longer while another execution of the same step
 * was still writing, because both may look up before either commits.
 */
const KNOWN_AFTER_MS = { alone: 2_000, beside: 15_000 };
/** Longest time between the report that a worker started and the first line of its execution: a busy machine starts threads slowly. */
const LONGEST_START_MS = 15_000;
/**
 * Reported starts of a task that is called poison, at least. The engine asks for more: a worker writes down that it begins
 * before it reports it, and may be killed in between.
 */
const POISON_STARTS = 3;

/** The event that a command leaves in the log. */
const EVENT_OF = { pauseRun: 'runPaused', resumeRun: 'runResumed', cancelRun: 'runCancelRequested' };

/** @param history  accepted, batches, seen, journal, checkpointUnits, surprises; see README.md  @returns the report's figures */
export function check(history) {
  const folded = foldAll(history);
  const violations = [
    ...folded.violations,
    ...lostRuns(history),
    ...lostEvents(history),
    ...gaps(history),
    ...lostCommands(history),
    ...unaskedCommands(history),
    ...unfoundedHits(history),
    ...wrongLeases(history),
    ...unexplainedErrors(history),
    ...doubledBatches(history),
    ...doubledSteps(history),
    ...notTerminal(history, folded.states),
    ...wrongEnds(history, folded.states),
    ...wrongDigests(history, folded.states),
    ...undoneUnits(history, folded.states),
    ...redoneUnits(history),
  ];
  const count = (...rules) => violations.filter(({ rule }) => rules.includes(rule)).length;
  const events = [...history.batches.values()].flat().flatMap((batch) => batch.events);
  const countOf = (kind, isMeant = () => true) =>
    events.filter(({ payload }) => payload.case === kind && isMeant(payload.value)).length;
  const units = history.journal.filter(({ kind }) => kind === 'unit');
  return {
    runs: history.accepted.length,
    steps: [...folded.states.values()].reduce((sum, { steps }) => sum + steps.length, 0),
    transitionsChecked: events.length,
    pauses: countOf('runPaused'),
    cancelled: countOf('runCancelled'),
    fallbacks: countOf('stepFallbackUsed'),
    cacheHits: countOf('stepCacheHit'),
    leases: countOf('stepScheduled', ({ lease }) => lease !== undefined),
    poisoned: [...history.batches.values()].flatMap(poisonedAttempts).length,
    unitsDone: units.length,
    unitsRedone: units.length - new Set(units.map(({ key, unit }) => `${key} ${unit}`)).size,
    lost: count('lost-run', 'lost-event', 'lost-command', 'gap'),
    doubled: count('doubled-batch', 'doubled-step', 'illegal'),
    notTerminal: count('not-terminal'),
    digestMismatches: count('digest', 'wrong-end', 'undone'),
    unwarranted: count('unasked', 'cache', 'lease'),
    unexplainedErrors: (history.surprises ?? []).reduce((sum, { times }) => sum + times, 0),
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

/** A command that was answered is in the log. */
function lostCommands({ accepted, batches }) {
  return accepted.flatMap(({ name, answered = [] }) => {
    const known = eventsOf(batches, name);
    return [...answered]
      .filter((call) => !known.has(EVENT_OF[call]))
      .map((call) => ({
        rule: 'lost-command',
        run: name,
        detail: `${call} was answered, and no ${EVENT_OF[call]} is in the log`,
      }));
  });
}

/** Nothing is paused, resumed or cancelled unless its user asked for it. */
function unaskedCommands({ accepted, batches }) {
  return accepted.flatMap(({ name, asked = [] }) => {
    const known = eventsOf(batches, name);
    const wishes = [...asked];
    return Object.entries(EVENT_OF)
      .filter(([call, event]) => known.has(event) && !wishes.includes(call))
      .map(([call, event]) => ({ rule: 'unasked', run: name, detail: `${event}, and nobody sent ${call}` }));
  });
}

const eventsOf = (batches, run) =>
  new Set((batches.get(run) ?? []).flatMap(({ events }) => events.map(({ payload }) => payload.case)));

/** A step takes a result over only if it may, and only from a step that did the work before. */
function unfoundedHits({ accepted, batches }) {
  const mayHit = new Map(
    accepted.flatMap(({ name, graph }) =>
      graph.steps.map(({ id, cache }) => [`${name} ${id}`, cache === CachePolicy.READ_WRITE]),
    ),
  );
  /** Revision at which a step completed with work of its own. */
  const completed = new Map();
  const hits = [];
  for (const [run, list] of batches)
    for (const { revision, events } of list)
      for (const { payload } of events) {
        if (payload.case === 'stepCompleted') completed.set(`${run} ${payload.value.stepId}`, revision);
        if (payload.case === 'stepCacheHit') hits.push({ run, revision, ...payload.value });
      }
  return hits.flatMap(({ run, revision, stepId, sourceRun, sourceStepId }) => {
    const violation = (detail) => [{ rule: 'cache', run, detail: `${stepId} ${detail}` }];
    // What a run asked for whose acceptance its user never learned is not known.
    if (mayHit.get(`${run} ${stepId}`) === false) return violation('took a result over, and may not');
    const source = completed.get(`${sourceRun} ${sourceStepId}`);
    return source !== undefined && source < revision
      ? []
      : violation(`took over what ${sourceStepId} of ${sourceRun} had not done`);
  });
}

/** An attempt is scheduled with a lease of at least what its step asks for, and without one when it asks for nothing. */
function wrongLeases({ accepted, batches }) {
  return accepted.flatMap(({ name, graph }) => {
    const asked = new Map(graph.steps.map(({ id, resources }) => [id, resources?.cpu ?? 0]));
    return (batches.get(name) ?? []).flatMap(({ events }) =>
      events.flatMap(({ payload }) => {
        if (payload.case !== 'stepScheduled') return [];
        const { stepId, attemptId, lease } = payload.value;
        const cpu = asked.get(stepId) ?? 0;
        const granted = lease?.granted?.cpu ?? 0;
        const isRight = cpu === 0 ? lease === undefined : granted >= cpu;
        return isRight
          ? []
          : [
              {
                rule: 'lease',
                run: name,
                detail: `${attemptId} has ${granted} cores, asked for were ${cpu}`,
              },
            ];
      }),
    );
  });
}

/** Whatever is broken, the front door says only what that explains. */
function unexplainedErrors({ surprises = [] }) {
  return surprises.map(({ call, code, message, times }) => ({
    rule: 'unexplained',
    run: '',
    detail: `${call} failed with ${code}, ${times} times: ${message}`,
  }));
}

/**
 * Every probe run completes, unless its user cancels it; then it is cancelled, if that was in time. Whose task lost one worker
 * after another fails, as the engine says it does: it cannot know who killed them.
 */
function wrongEnds({ accepted, batches }, states) {
  const users = new Map(accepted.map((run) => [run.name, run]));
  return [...states].flatMap(([run, { state, failure }]) => {
    if (!isTerminalRun(state)) return [];
    const { asked, answered } = users.get(run) ?? {};
    const allowed = answered?.has('cancelRun')
      ? [RunState.CANCELLED]
      : [RunState.COMPLETED, ...(asked?.has('cancelRun') ? [RunState.CANCELLED] : [])];
    const isPoisoned = state === RunState.FAILED && poisonedAttempts(batches.get(run) ?? []).length > 0;
    return allowed.includes(state) || isPoisoned
      ? []
      : [{ rule: 'wrong-end', run, detail: `${RunState[state]}: ${failure?.message ?? ''}` }];
  });
}

/** Attempts that were given up as poison after several workers had begun with them. */
function poisonedAttempts(batches) {
  const payloads = batches.flatMap(({ events }) => events.map(({ payload }) => payload));
  const starts = (attemptId) =>
    payloads.filter((one) => one.case === 'stepStarted' && one.value.attemptId === attemptId).length;
  return payloads
    .filter((one) => one.case === 'stepAttemptFailed' && one.value.failure?.reason === 'POISON_TASK')
    .map(({ value }) => value.attemptId)
    .filter((attemptId) => starts(attemptId) >= POISON_STARTS);
}

function wrongDigests({ accepted }, states) {
  return accepted.flatMap(({ name, graph }) => {
    const outputs = new Map();
    const of = (id) =>
      states
        .get(name)
        ?.steps.toArray()
        .find(({ spec }) => spec.id === id);
    return graph.steps.flatMap((spec) => {
      const { id, config, inputs } = spec;
      const sources = inputs.map(({ source }) => outputs.get(source.value.stepId));
      const expected = expectedDigest(config, stepSeedOf(graph.seed, spec), sources, isHopeless(spec));
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

/** What is called complete was done: every unit is in the journal. Not where the fallback stands in, or none is kept. */
function undoneUnits({ accepted, journal }, states) {
  const done = new Set(
    journal.filter(({ kind }) => kind === 'unit').map(({ key, unit }) => `${key} ${unit}`),
  );
  return accepted.flatMap(({ name, runId, graph }) =>
    graph.steps.flatMap((spec) => {
      const { id, config } = spec;
      if (isHopeless(spec) || !config.journal_key) return [];
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
  const starts = startsByKey(history);
  const lives = livesByKey(history.journal);
  return [...lives].flatMap(([key, executions]) =>
    executions.flatMap(({ life, pid, beganMs, from }) => {
      const reported = (starts.get(key) ?? []).filter(
        ({ worker, timeMs }) =>
          worker.endsWith(`-${pid}`) && timeMs <= beganMs && timeMs > beganMs - LONGEST_START_MS,
      );
      const lookedUpMs = reported.at(-1)?.timeMs ?? beganMs;
      const isBeside = executions.some(
        (other) =>
          other.life !== life && other.beganMs <= beganMs && other.lastMs > lookedUpMs - KNOWN_AFTER_MS.alone,
      );
      const beforeMs = lookedUpMs - (isBeside ? KNOWN_AFTER_MS.beside : KNOWN_AFTER_MS.alone);
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

/** When workers were known to have started each step, in the order of the log. */
function startsByKey({ accepted, batches }) {
  const starts = new Map();
  for (const { name, runId } of accepted)
    for (const { timeMs, events } of batches.get(name) ?? [])
      for (const { payload } of events) {
        if (payload.case !== 'stepStarted') continue;
        const { stepId, worker } = payload.value;
        const key = journalKey(runId, stepId);
        starts.set(key, [...(starts.get(key) ?? []), { timeMs, worker }]);
      }
  return starts;
}

/** Executions of each step: when they began and last wrote, and the unit they went on from. */
function livesByKey(journal) {
  const keys = new Map();
  for (const { key, life, kind, unit, pid, timeMs } of journal) {
    const lives = keys.get(key) ?? new Map();
    keys.set(key, lives);
    if (kind === 'begin') lives.set(life, { life, pid, beganMs: timeMs, lastMs: timeMs, from: unit });
    else if (lives.has(life)) lives.get(life).lastMs = timeMs;
  }
  return new Map([...keys].map(([key, lives]) => [key, [...lives.values()]]));
}
