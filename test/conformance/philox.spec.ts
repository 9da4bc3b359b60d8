import { createHash } from 'node:crypto';
import { normal, Philox, uniform } from '@agentforge/tensor';

describe('Philox4x32-10', () => {
  it('gives the known answer of Random123 for key 0, counter 0', () => {
    const stream = new Philox(0);
    const words = Array.from({ length: 4 }, () => stream.uint32().toString(16));
    expect(words).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
  });

  it.each([[1], [4], [1001], [65537]])(
    'gives %i uniforms natively that equal the host bit for bit',
    (count) => {
      for (const seed of [0, 7, 2n ** 63n + 12345n]) {
        const [device, host] = [new Philox(seed), new Philox(seed)];
        device.uint32(); // leaves a block half used: the tensor starts at the next
        host.align();
        host.reserve(4);
        const values = uniform(device, [count]).toTypedArray();
        let differing = 0;
        for (let i = 0; i < count; i++) if (values[i] !== host.float()) differing++;
        expect(differing).toBe(0);
      }
    },
  );

  it('gives the same normal numbers on every machine', () => {
    const values = normal(new Philox(42).stream('weights'), [10_000]).toFloat32Array();
    const digest = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
    expect(digest.slice(0, 16)).toBe('65fe7518f74284ef');
  });
});
