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

  it('knows what each device can be asked for', () => {
    expect(settingsOf([]).sections).not.toContain('ternary');
    expect(settingsOf(['--device', 'cuda'])).toMatchObject({
      device: 'cuda',
      sections: ['training', 'ternary'],
    });
    expect(() => settingsOf(['--device', 'cuda', '--only', 'training,addon'])).toThrow(
      'addon is not measured on cuda, but training, ternary',
    );
    expect(() => settingsOf(['--only', 'ternary'])).toThrow('ternary is not measured on cpu');
    expect(() => settingsOf(['--device', 'tpu'])).toThrow('--device: tpu is not cpu or cuda');
  });

  it('says no more than help when asked for it', () => {
    expect(settingsOf(['-h', '--only', 'tea'])).toEqual({ help: true });
  });
});
