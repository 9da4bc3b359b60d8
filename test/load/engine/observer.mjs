// Loaded into a service before everything else: answers on a socket what cannot be seen from outside. One line asks
// (memory, profile-start, profile-stop), one line of JSON answers.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const folder = process.env.FORGE_BENCH_OBSERVE_DIR;
if (folder && isMainThread) listen(folder);

function listen(folder) {
  const session = new Session();
  session.connect();
  const ask = (method, params) =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error, value) => (error ? reject(error) : resolve(value)));
    });
  const commands = {
    /** What is left after a collection: what the process holds on to. */
    async memory() {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc');
      for (let i = 0; i < 3; i++) {
        collect();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return process.memoryUsage();
    },
    async 'profile-start'() {
      await ask('Profiler.enable');
      await ask('Profiler.start');
      return {};
    },
    async 'profile-stop'() {
      const { profile } = await ask('Profiler.stop');
      const file = join(folder, `${process.pid}.cpuprofile`);
      writeFileSync(file, JSON.stringify(profile));
      return { file };
    },
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      commands[String(data).trim()]().then(
        (value) => socket.end(`${JSON.stringify(value)}\n`),
        (error) => socket.end(`${JSON.stringify({ error: String(error) })}\n`),
      );
    });
  });
  server.listen(join(folder, `${process.pid}.sock`));
  server.unref();
}
