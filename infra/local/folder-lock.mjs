import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { forgeDir } from './paths.mjs';
import { say } from './progress.mjs';

const file = join(forgeDir, 'bootstrap.lock');

/** Does the work while no other bootstrap of this clone installs or builds; waits for one that does. */
export async function withFolderLock(work) {
  mkdirSync(forgeDir, { recursive: true });
  for (let told = false; !take(); ) {
    const holder = Number(readHolder());
    if (holder > 0 && !isAlive(holder)) rmSync(file, { force: true });
    else if (!told) {
      say(`another start (process ${holder || '?'}) is installing or building here; waiting for it`);
      told = true;
    }
    await sleep(200);
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function take() {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function readHolder() {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
