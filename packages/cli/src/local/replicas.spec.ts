import { checkComposition, mainOf, parseExtraService, parseReplicas, processNames } from './replicas.js';

const SERVICES = ['validators', 'orchestrator', 'phase-cognate'];

describe('parseReplicas()', () => {
  it('reads services and numbers', () => {
    expect(parseReplicas('orchestrator=2, phase-cognate=3')).toEqual({
      orchestrator: 2,
      'phase-cognate': 3,
    });
  });

  it('names every part that is wrong', () => {
    expect(() => parseReplicas('orchestrator,a=1,a=2,b=-1')).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [
          expect.objectContaining({ field: 'orchestrator' }),
          expect.objectContaining({ field: 'a', description: 'is named twice' }),
          expect.objectContaining({ field: 'b=-1' }),
        ],
      }),
    );
  });
});

describe('parseExtraService()', () => {
  it('reads a name and a file', () => {
    expect(parseExtraService('phase-mine=dist/main.js', '/home/me')).toEqual({
      name: 'phase-mine',
      main: '/home/me/dist/main.js',
    });
  });

  it.each(['phase-mine', '=x.js', 'Phase=x.js', 'phase-mine='])('refuses %j', (text) => {
    expect(() => parseExtraService(text, '/')).toThrow(/is not of the form service=file/);
  });
});

describe('checkComposition()', () => {
  it('accepts services that are started', () => {
    expect(() => checkComposition(SERVICES, { orchestrator: 16 })).not.toThrow();
  });

  it('refuses unknown services and impossible numbers, all at once', () => {
    const problems = (replicas: Record<string, number>) => {
      try {
        checkComposition([...SERVICES, 'orchestrator'], replicas);
      } catch (error) {
        return (error as { fieldViolations: { field: string }[] }).fieldViolations.map(({ field }) => field);
      }
      return [];
    };
    expect(problems({ validators: 0, 'phase-x': 2 })).toEqual(['orchestrator', 'validators', 'phase-x']);
  });

  it('refuses a service that has the name of a replica', () => {
    expect(() => checkComposition([...SERVICES, 'validators-2'], { validators: 2 })).toThrow(/validators-2/);
  });
});

describe('processNames()', () => {
  it('numbers from the second on', () => {
    expect(processNames('orchestrator', 3)).toEqual(['orchestrator', 'orchestrator-2', 'orchestrator-3']);
  });
});

describe('mainOf()', () => {
  it('is the compiled main of our services and the given file of others', () => {
    const extra = [{ name: 'phase-mine', main: '/mine.js' }];
    expect(mainOf('validators', '/root', extra)).toBe('/root/services/validators/dist/main.js');
    expect(mainOf('phase-mine', '/root', extra)).toBe('/mine.js');
  });
});
