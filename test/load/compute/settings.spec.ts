import { settingsOf } from './settings.mjs';

describe('the command line of bench:compute', () => {
  it('takes --json with a file, with -, and without a value', () => {
    expect(settingsOf([]).json).toBeUndefined();
    expect(settingsOf(['--json', 'out.json']).json).toBe('out.json');
    expect(settingsOf(['--json=out.json']).json).toBe('out.json');
    expect(settingsOf(['--json', '-']).json).toBe('-');
    expect(settingsOf(['--json']).json).toBe('-');
    expect(settingsOf(['--json', '--only', 'addon'])).toMatchObject({ json: '-', sections: ['addon'] });
  });

  it('names everything that is wrong at once', () => {
    expect(() =>
      settingsOf(['--only', 'tea', '--models', 'base', '--rounds', '0', '--precision', 'f16']),
    ).toThrow(/section tea[\s\S]*base is not[\s\S]*f16 is not f32 or bf16[\s\S]*rounds: 0/);
    expect(() => settingsOf(['--svg'])).toThrow(/--svg/);
  });

  it('says no more than help when asked for it', () => {
    expect(settingsOf(['-h', '--only', 'tea'])).toEqual({ help: true });
  });
});
