// pnpm fuzz: feeds what no caller should send to everything that reads it. See README.md.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Specs by target; each is an ordinary test too, which replays the corpus. */
const TARGETS = { gguf: 'readers', safetensors: 'readers', shards: 'readers', addon: 'addon' };

const HELP = `Usage: pnpm fuzz [options]
  --minutes M       how long each target runs (default 1)
  --seed S          chooses the inputs (default: the time)
  --target NAME     ${Object.keys(TARGETS).join(', ')} (default: each in turn)

What breaks a rule is written to test/fuzz/corpus, and replayed by every test run from then on.
The ops in C++: pnpm --filter @agentforge/native run fuzz [seconds] (clang).
`;

function settings() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string', default: String(Math.floor(Date.now() / 1000)) },
        target: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const wrong = [
      ...(Number(values.minutes) > 0 ? [] : ['--minutes must be a number above 0']),
      ...(Number.isSafeInteger(Number(values.seed)) ? [] : ['--seed must be a whole number']),
      ...(values.target === undefined || values.target in TARGETS ? [] : [`--target: no ${values.target}`]),
    ];
    if (wrong.length > 0) throw new Error(wrong.join('; '));
    return values;
  } catch (error) {
    console.error(`fuzz: ${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

const { minutes, seed, target, help } = settings();
if (help) {
  console.log(HELP);
  process.exit(0);
}
for (const name of target === undefined ? Object.keys(TARGETS) : [target]) {
  const { status } = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--no-warnings',
      'node_modules/jest/bin/jest.js',
      `fuzz/${TARGETS[name]}.spec.ts`,
    ],
    {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: 'inherit',
      env: { ...process.env, FORGE_FUZZ_MINUTES: minutes, FORGE_FUZZ_SEED: seed, FORGE_FUZZ_TARGET: name },
    },
  );
  if (status !== 0) process.exitCode = 1;
}
