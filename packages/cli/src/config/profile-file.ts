import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { UsageError } from '../errors.js';
import { OUTPUT_FORMATS, type OutputFormat } from '../output/format.js';
import { didYouMean } from '../spec/suggest.js';

/** Settings that a profile can hold. */
export const PROFILE_KEYS = ['server', 'project', 'output'] as const;

/** Defaults for a place where runs are sent. */
export interface Profile {
  readonly server?: string;
  readonly project?: string;
  readonly output?: OutputFormat;
}

/** The configuration file: profiles by name, and which one is used. */
export interface ProfileFile {
  readonly current?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `$FORGE_CONFIG`, or `agent-forge/config.yaml` in `$XDG_CONFIG_HOME` or `~/.config`. */
export function profilePath(env: Environment): string {
  if (env['FORGE_CONFIG']) return env['FORGE_CONFIG'];
  return join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'agent-forge', 'config.yaml');
}

/**
 * Reads the configuration file; a missing one is empty.
 * @throws UsageError INVALID_ARGUMENT: not YAML, or an unknown or malformed setting; all of them are named
 */
export async function readProfiles(env: Environment): Promise<ProfileFile> {
  const file = profilePath(env);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return { profiles: {} };
  }
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new UsageError(
      `${file} is not YAML: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    );
  }
  return checkFile(file, value);
}

/** Writes the configuration file, all of it or nothing. */
export async function writeProfiles(env: Environment, content: ProfileFile): Promise<string> {
  const file = profilePath(env);
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, stringify(content), { mode: 0o600 });
  await rename(draft, file);
  return file;
}

/**
 * A profile with one setting changed.
 * @throws UsageError INVALID_ARGUMENT: an unknown setting or a bad value
 */
export function withSetting(profile: Profile, key: string, value: string): Profile {
  const problem = settingProblem(key, value);
  if (problem) throw new UsageError(problem);
  return { ...profile, [key]: value };
}

function checkFile(file: string, value: unknown): ProfileFile {
  const root = asMap(value);
  const profiles = root && asMap(root['profiles'] ?? {});
  const current = root?.['current'];
  if (!root || !profiles || (current !== undefined && typeof current !== 'string')) {
    throw new UsageError(`${file}: expected "current: NAME" and "profiles:" with a map of names`);
  }
  const problems = Object.entries(profiles).flatMap(([name, profile]) => {
    const settings = asMap(profile ?? {});
    if (!settings) return [`profiles.${name}: expected a map`];
    return Object.entries(settings).flatMap(([key, setting]) => {
      const problem = settingProblem(key, setting);
      return problem ? [`profiles.${name}: ${problem}`] : [];
    });
  });
  if (current !== undefined && !Object.hasOwn(profiles, current)) {
    problems.push(`current: no profile is called "${current}"${didYouMean(current, Object.keys(profiles))}`);
  }
  if (problems.length > 0) throw new UsageError(`${file}: ${problems.join('; ')}`);
  return { profiles: profiles as ProfileFile['profiles'], ...(current === undefined ? {} : { current }) };
}

function settingProblem(key: string, value: unknown): string | undefined {
  if (!PROFILE_KEYS.some((known) => known === key)) {
    return `unknown setting "${key}"${didYouMean(key, PROFILE_KEYS)} (known: ${PROFILE_KEYS.join(', ')})`;
  }
  if (typeof value !== 'string') return `${key}: expected text`;
  if (key === 'output' && !OUTPUT_FORMATS.some((format) => format === value)) {
    return `output: ${JSON.stringify(value)} is none of ${OUTPUT_FORMATS.join(', ')}`;
  }
  if (key === 'server' && !isServerAddress(value)) return `server: ${JSON.stringify(value)} is not HOST:PORT`;
  return undefined;
}

/** Whether a text is HOST:PORT, or several with commas: replicas of the front door, which are used in turn. */
export function isServerAddress(text: string): boolean {
  return text.split(',').every(isHostAndPort);
}

function isHostAndPort(text: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65_535;
}

function asMap(value: unknown): Record<string, unknown> | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
