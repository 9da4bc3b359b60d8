import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backendInfo } from '@agentforge/tensor';
import type { Operation, SizeName } from './operation.js';

/** Set by table.mjs: the folder that every spec leaves its numbers in. */
const folder = process.env['FORGE_CONFORMANCE_TABLE'];

/** One op at one size. */
interface Noted {
  readonly op: string;
  readonly dtype: string;
  readonly size: SizeName;
  readonly error: number;
  readonly allowed: number;
}

const noted: Noted[] = [];

/** Takes note of how far an op was from what it is checked against. */
export function note({ op, dtype }: Operation, size: SizeName, error: number, allowed: number): void {
  noted.push({ op, dtype: dtype ?? 'f32', size, error, allowed });
}

/** Leaves what was noted where it was asked for, if it was. */
export function keepTable(check: 'forward' | 'gradient'): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const { device, isa } = backendInfo();
  writeFileSync(join(folder, `${check}.json`), JSON.stringify({ check, device, isa, noted }));
}
