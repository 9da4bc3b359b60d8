import { targetOf } from './target.js';

describe('targetOf()', () => {
  it.each([
    ['127.0.0.1:7', 'ipv4:127.0.0.1:7'],
    ['localhost:7', 'ipv4:127.0.0.1:7'],
    ['127.0.0.1:7, 127.0.0.1:8', 'ipv4:127.0.0.1:7,127.0.0.1:8'],
    ['[::1]:7', 'ipv6:[::1]:7'],
    ['orchestrator.forge:7102', 'dns:///orchestrator.forge:7102'],
  ])('%s becomes %s', (address, target) => expect(targetOf(address)).toBe(target));

  it.each([['no-port'], ['host:0'], ['host:70000'], [''], ['a:1,b:2'], ['127.0.0.1:1,[::1]:2']])(
    'refuses %j',
    (address) => {
      expect(() => targetOf(address)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  it('refuses an empty list', () => {
    expect(() => targetOf([])).toThrow('at least one address');
  });
});
