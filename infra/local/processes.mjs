import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root, toolsEnv } from './paths.mjs';

const PARENT_CHECK_MS = 1000;
const OUTPUT_KEPT = 20_000;

let running;
let stopping = false;

/** Whether Ctrl-C or a signal asked to stop. */
export function stopRequested() {
  return stopping;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => stop(signal));
}

function stop(signal) {
  stopping = true;
  if (!running) process.exit(128 + constants.signals[signal]);
  running.end(signal);
}

/**
 * Stops when the npm that started this script is gone: nobody waits for the result any more. Between npm and this
 * process there may be a shell, which outlives a killed npm.
 */
export function endWithParent() {
  if (!process.env.npm_lifecycle_event) return;
  const lineage = () => `${process.ppid} ${parentOf(process.ppid)}`;
  const atStart = lineage();
  setInterval(() => {
    if (!stopping && lineage() !== atStart) stop('SIGTERM');
  }, PARENT_CHECK_MS).unref();
}

/** Parent of a process; 0 where the system does not tell. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    const result = spawnSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' });
    return Number(result.stdout?.trim() ?? 0) || 0;
  }
}

/**
 * Runs a step in a process group of its own and keeps its output for the case that it fails.
 * Resolves to the exit code and the last of the output.
 */
export function runStep(command, args, { cwd = root, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...toolsEnv(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running = { end: (signal) => signalGroup(child, signal) };
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_KEPT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => finish(127, String(error)));
    child.on('close', (code) => finish(code ?? 1, output));
    function finish(code, text) {
      running = undefined;
      if (stopping) process.exit(130);
      resolve({ code, output: text });
    }
  });
}

/**
 * Runs a Node script in the foreground and resolves to its exit code. The script gets a pipe as file descriptor 3 and
 * its number in FORGE_LIFELINE_FD: when the pipe closes, this process is gone, and the script stops what it started.
 */
export function runTarget(script, args, { name, env }) {
  const isTest = name === 'test';
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: startFolder(name),
      env: { ...env, FORGE_LIFELINE_FD: '3' },
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      detached: isTest,
    });
    child.stdio[3]?.on('error', () => undefined);
    running = { end: (signal) => (isTest ? signalGroup(child, signal) : child.kill(signal)) };
    child.on('error', (error) => {
      process.stderr.write(`${error}\n`);
      resolve(1);
    });
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** Where paths on the command line start from: the folder in which npm was called. */
function startFolder(name) {
  const isOurs =
    process.env.npm_lifecycle_event === name && process.env.npm_package_json === join(root, 'package.json');
  return (isOurs && process.env.INIT_CWD) || (process.env.npm_lifecycle_event ? root : process.cwd());
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}
