import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { interruptionOf } from './interruption.js';
import { endWithLifeline } from './lifeline.js';
import { terminalOf } from './output/terminal.js';
import { runCommand } from './run-command.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

endWithLifeline(process.env);

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

process.exitCode = await runCommand(
  {
    out: terminalOf(process.stdout),
    err: terminalOf(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    root,
    readStdin,
    interruption: interruptionOf(process),
  },
  process.argv.slice(2),
  version,
);
