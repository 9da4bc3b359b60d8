import { Command, Option } from 'commander';
import { addArtifactCommands } from './commands/artifact.commands.js';
import { addCapacityCommands } from './commands/capacity.commands.js';
import { addCompletionCommands } from './commands/completion.commands.js';
import { addDemoCommand } from './commands/demo.commands.js';
import { addDevCommand } from './commands/dev.commands.js';
import { addDeadLetterCommands } from './commands/dlq.commands.js';
import { addDoctorCommand } from './commands/doctor.commands.js';
import { addMergeCommand } from './commands/merge.commands.js';
import { addModelCommands } from './commands/model.commands.js';
import { addPhaseCommands } from './commands/phase.commands.js';
import { addProfileCommands } from './commands/profile.commands.js';
import { addQuotaCommands } from './commands/quota.commands.js';
import { addRunCommands } from './commands/run.commands.js';
import { addScheduleCommands } from './commands/schedule.commands.js';
import { addSpecCommands } from './commands/spec.commands.js';
import { OUTPUT_FORMATS } from './output/format.js';
import type { Io } from './session.js';

const EPILOGUE = `
The server is, in this order: --server, FORGE_SERVER, the profile (--profile, FORGE_PROFILE, "forge profile use"),
a local stack that runs in this folder or above ("forge dev").

Exit codes: 0 done · 1 a run or check failed, or the server refused · 2 wrong usage or specification ·
130 Ctrl-C · 143 SIGTERM`;

/** The whole command line. Nothing is read or connected before a command runs. */
export function createProgram(io: Io, version: string): Command {
  const program = new Command('forge')
    .description('Builds small, specialised agent models: runs, artifacts, models, and a local stack.')
    .version(version, '-V, --version')
    .option('--server <host:port>', 'front door to talk to')
    .option('--project <project>', 'project of runs')
    .option('--profile <name>', 'profile to use')
    .addOption(
      new Option('-o, --output <format>', 'shape of the output (default: table)').choices(OUTPUT_FORMATS),
    )
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .showSuggestionAfterError(true)
    .showHelpAfterError('(add --help for usage and examples)')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText('after', EPILOGUE)
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      getOutHelpWidth: () => Math.min(110, io.out.columns),
      getErrHelpWidth: () => Math.min(110, io.err.columns),
    })
    .exitOverride();
  addRunCommands(program, io);
  addScheduleCommands(program, io);
  addQuotaCommands(program, io);
  addArtifactCommands(program, io);
  addModelCommands(program, io);
  addMergeCommand(program, io);
  addPhaseCommands(program, io);
  addSpecCommands(program, io);
  addDevCommand(program, io);
  addDeadLetterCommands(program, io);
  addCapacityCommands(program, io);
  addDemoCommand(program, io);
  addDoctorCommand(program, io);
  addProfileCommands(program, io);
  addCompletionCommands(program, io);
  return program;
}
