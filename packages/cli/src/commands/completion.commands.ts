import { Argument, type Command } from 'commander';
import { complete, type DynamicNames } from '../completion/complete.js';
import { completionScript, SHELLS, type Shell } from '../completion/scripts.js';
import { readProfiles } from '../config/profile-file.js';
import type { Io, Session } from '../session.js';
import { action } from './action.js';

/** A shell waits for an answer; it gets none rather than a late one. */
const DEADLINE_MS = 1_500;

/** `forge completion …`, and the hidden command that shells ask. */
export function addCompletionCommands(program: Command, io: Io): void {
  program
    .command('completion')
    .description('Print a script that completes commands, options and names in a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      '\nExamples:\n  $ eval "$(forge completion bash)"      # in ~/.bashrc\n  $ forge completion fish | source',
    )
    .action(
      action<object>(io, async (session, _options, shell) =>
        session.io.out.write(completionScript(shell as Shell)),
      ),
    );
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(
      action<object>(io, async (session, _options, ...words) => {
        const candidates = await complete(program, words.flat(), namesOf(session));
        if (candidates.length > 0) session.io.out.write(`${candidates.join('\n')}\n`);
      }),
    );
}

function namesOf(session: Session): DynamicNames {
  const call = { deadlineMs: DEADLINE_MS };
  return async (kind) => {
    try {
      if (kind === 'profile') return Object.keys((await readProfiles(session.io.env)).profiles);
      if (kind === 'digest') {
        const page = await (await session.artifacts()).listArtifacts({ pageSize: 100 }, call);
        return page.artifacts.map(({ ref }) => ref?.digest ?? '');
      }
      const pipeline = await session.pipeline();
      if (kind === 'phase') return (await pipeline.listPhases({}, call)).phases.map(({ name }) => name);
      const parent = `projects/${await session.project()}`;
      if (kind === 'schedule') {
        const page = await (await session.schedules()).listSchedules({ parent, pageSize: 100 }, call);
        return page.schedules.map(idOf);
      }
      const { runs } = await pipeline.listRuns({ parent, pageSize: 100 }, call);
      return runs.map(idOf);
    } catch {
      return [];
    }
  };
}

const idOf = ({ name }: { readonly name: string }): string => name.slice(name.lastIndexOf('/') + 1);
