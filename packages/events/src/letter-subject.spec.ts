import { letterSubjectOf } from './letter-subject.js';
import { attemptIdOf, reportSubject, runSubject, taskSubject } from './subjects.js';

describe('letterSubjectOf()', () => {
  const run = 'projects/p/runs/r-1';
  const attemptId = attemptIdOf(run, 'train_2', 3);
  const about = { run, stepId: 'train_2', attemptId, phase: 'noop' };

  it('knows the attempt of tasks and reports by the id they were published with', () => {
    expect(letterSubjectOf(taskSubject('noop', attemptId), attemptId)).toEqual(about);
    expect(letterSubjectOf(reportSubject('noop'), `${attemptId}:succeeded:0`)).toEqual(about);
    expect(letterSubjectOf(taskSubject('noop', attemptId), `${attemptId}:redrive:7`)).toEqual(about);
  });

  it('knows the run of a log', () => {
    expect(letterSubjectOf(runSubject(run))).toEqual({ run, stepId: '', attemptId: '', phase: '' });
  });

  it.each(['', 'x', 'a.b.c', 'a.b.c.0', '../.x.c.1', ':redrive:7'])(
    'says no more than the phase for id %p',
    (id) => {
      expect(letterSubjectOf('forge.tasks.noop.x', id)).toEqual({
        run: '',
        stepId: '',
        attemptId: '',
        phase: 'noop',
      });
    },
  );
});
