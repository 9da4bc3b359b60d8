import type { Command } from 'commander';
import { profilePath, readProfiles, withSetting, writeProfiles } from '../config/profile-file.js';
import { UsageError } from '../errors.js';
import { listing } from '../output/format.js';
import type { Io, Session } from '../session.js';
import { didYouMean } from '../spec/suggest.js';
import { action } from './action.js';

/** `forge profile …` */
export function addProfileCommands(program: Command, io: Io): void {
  const profile = program
    .command('profile')
    .description('Defaults for servers: address, project, output')
    .addHelpText(
      'after',
      `\nProfiles live in ${profilePath(io.env)}.\n\nExamples:\n  $ forge profile set staging server forge.example:7100\n  $ forge profile use staging`,
    );
  profile.command('list').alias('ls').description('List profiles').action(action<object>(io, listProfiles));
  profile
    .command('set <profile> <key> <value>')
    .description('Set server, project or output of a profile')
    .action(action<object>(io, setProfile));
  profile
    .command('use <profile>')
    .description('Use a profile from now on')
    .action(action<object>(io, useProfile));
  profile
    .command('delete <profile>')
    .description('Forget a profile')
    .action(action<object>(io, deleteProfile));
}

async function listProfiles(session: Session): Promise<void> {
  const { current, profiles } = await readProfiles(session.io.env);
  const rows = Object.entries(profiles).map(([name, profile]) => ({
    name,
    ...profile,
    current: name === current,
  }));
  await session.print(
    listing(
      rows,
      [
        { title: ' ', value: (row) => (row.current ? '*' : '') },
        { title: 'profile', value: (row) => row.name },
        { title: 'server', value: (row) => row.server ?? '–' },
        { title: 'project', value: (row) => row.project ?? '–' },
        { title: 'output', value: (row) => row.output ?? '–' },
      ],
      {
        value: rows,
        name: ({ name }) => name,
        empty: 'no profiles; make one with "forge profile set NAME server HOST:PORT"',
      },
    ),
  );
}

async function setProfile(
  session: Session,
  _options: object,
  name = '',
  key = '',
  value = '',
): Promise<void> {
  const file = await readProfiles(session.io.env);
  const profile = withSetting(file.profiles[name] ?? {}, key, value);
  const path = await writeProfiles(session.io.env, {
    current: file.current ?? name,
    profiles: { ...file.profiles, [name]: profile },
  });
  session.remark(`${name}.${key} = ${value} (${path})`);
}

async function useProfile(session: Session, _options: object, name = ''): Promise<void> {
  const file = await readProfiles(session.io.env);
  requireProfile(file.profiles, name);
  await writeProfiles(session.io.env, { ...file, current: name });
  session.remark(`using ${name}`);
}

async function deleteProfile(session: Session, _options: object, name = ''): Promise<void> {
  const { current, profiles } = await readProfiles(session.io.env);
  requireProfile(profiles, name);
  const rest = Object.fromEntries(Object.entries(profiles).filter(([other]) => other !== name));
  await writeProfiles(session.io.env, {
    profiles: rest,
    ...(current !== undefined && current !== name ? { current } : {}),
  });
  session.remark(`deleted ${name}`);
}

function requireProfile(profiles: Readonly<Record<string, unknown>>, name: string): void {
  if (Object.hasOwn(profiles, name)) return;
  throw new UsageError(`no profile is called "${name}"${didYouMean(name, Object.keys(profiles))}`);
}
