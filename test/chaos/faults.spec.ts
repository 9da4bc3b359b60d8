import { connect, createServer } from 'node:net';
import { COUNTS, nextFault } from './faults.mjs';
import { randomGraph } from './graphs.mjs';
import { Network } from './network.mjs';
import { randomOf } from './random.mjs';

const faultsOf = (seed: string) => {
  const random = randomOf(seed, 'faults');
  return Array.from({ length: 200 }, () => nextFault(random)).map(({ waitMs, fault, details }) => ({
    waitMs,
    name: fault.name,
    counts: fault.counts,
    details,
  }));
};

describe('nextFault()', () => {
  it('is determined by the seed', () => {
    expect(faultsOf('7')).toEqual(faultsOf('7'));
    expect(faultsOf('7')).not.toEqual(faultsOf('8'));
  });

  it('chooses every kind', () => {
    expect(new Set(faultsOf('7').map(({ counts }) => counts))).toEqual(new Set(COUNTS));
  });
});

describe('randomGraph()', () => {
  it('is determined by the seed, has its sources before their readers, and keys of its own', () => {
    const graphs = (seed: string) => {
      const random = randomOf(seed, 'load');
      return Array.from({ length: 50 }, (_, i) => randomGraph(random, `r${i}`));
    };
    expect(graphs('1')).toEqual(graphs('1'));
    const keys = graphs('1').flatMap(({ steps }) => steps.flatMap(({ config }) => config.journal_key ?? []));
    expect(new Set(keys).size).toBe(keys.length);
    for (const { steps } of graphs('1'))
      steps.forEach(({ inputs }, i) => {
        const earlier = steps.slice(0, i).map(({ id }) => id);
        for (const { source } of inputs) expect(earlier).toContain(source.value.stepId);
      });
  });
});

describe('Network', () => {
  it('passes on in order under delay, breaks, refuses, and works again', async () => {
    const echo = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const address = echo.address() as { port: number };
    const proxy = await Network.start();
    proxy.lead(`nats://127.0.0.1:${address.port}`);
    const open = () => {
      const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      const echoed = async (wanted: string) => {
        while (text !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      return { socket, closed, echoed, received: () => text };
    };

    const first = open();
    proxy.delay(30);
    first.socket.write('slow ');
    await new Promise((resolve) => setTimeout(resolve, 10));
    proxy.delay(0);
    first.socket.write('fast');
    await first.echoed('slow fast');

    proxy.hold(true);
    first.socket.write(' held');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(first.received()).toBe('slow fast');
    proxy.hold(false);
    await first.echoed('slow fast held');
    proxy.cut();
    await first.closed;

    proxy.refuse(true);
    await open().closed;
    proxy.refuse(false);
    const last = open();
    last.socket.write('again');
    await last.echoed('again');
    await proxy.stop();
    await last.closed;
    await new Promise((resolve) => echo.close(resolve));
  });
});
