import { StepState } from '@agentforge/contracts';
import { type Curve, plotCurves, progressBar, sparkline } from '../output/plot.js';
import type { Style } from '../output/style.js';
import { formatNumber, formatSeconds } from '../output/units.js';
import { pad, printable, widthOf } from '../output/width.js';
import type { SeriesView } from './curves.js';
import type { RunView, StepView } from './run-view.js';
import { paintRunState, stepMark } from './states.js';

const PLOT_ROWS = 8;
const MAX_BAR = 24;
/** Most steps that are drawn; of a larger graph, those that are running or failed come first. */
const MAX_STEPS = 16;

/** What the frame is drawn for. */
export interface FrameContext {
  readonly style: Style;
  readonly columns: number;
  readonly rows: number;
  readonly now: Date;
}

/** The lines that show a run as it stands: state, steps with bars and ETA, curves of what is running. */
export function drawRun(view: RunView, context: FrameContext): string[] {
  const { style, now } = context;
  const since = view.createdAt ? ((view.endedAt ?? now).getTime() - view.createdAt.getTime()) / 1_000 : 0;
  const title = printable(view.displayName || view.name);
  const lines = [
    `${paintRunState(view.state, style)}  ${style.bold(title)}  ${style.dim(`${view.name}  ${formatSeconds(since)}${progressOf(view)}`)}`,
    ...drawSteps(view, context),
  ];
  const shown = focusOf(view);
  if (shown) lines.push(...drawCurves(shown, context, context.rows - lines.length - 2));
  if (view.failure) lines.push(style.red(printable(view.failure)));
  return lines;
}

/** How much of a run that goes on is done, and the time left once that is known. */
function progressOf(view: RunView): string {
  if (view.isFinal || view.name === '') return '';
  const { fraction, etaSeconds } = view;
  const eta = etaSeconds === undefined ? '' : `  ETA ${formatSeconds(etaSeconds)}`;
  return `  ${Math.floor(fraction * 100)} %${eta}`;
}

function drawSteps(view: RunView, context: FrameContext): string[] {
  const { style } = context;
  const all = view.steps;
  const shown =
    all.length <= MAX_STEPS
      ? all
      : [...all].sort((a, b) => urgency(a.state) - urgency(b.state)).slice(0, MAX_STEPS);
  const idWidth = Math.max(...shown.map((step) => widthOf(step.id)), 0);
  const phaseWidth = Math.max(...shown.map((step) => widthOf(step.phase)), 0);
  const bar = Math.max(8, Math.min(MAX_BAR, context.columns - idWidth - phaseWidth - 40));
  const lines = shown.map((step) => {
    const head = `  ${stepMark(step.state, style)} ${pad(step.id, idWidth)}  ${style.dim(pad(step.phase, phaseWidth))}`;
    return `${head}  ${drawStep(step, bar, context)}`;
  });
  if (shown.length < all.length) lines.push(style.dim(`  … and ${all.length - shown.length} more steps`));
  return lines;
}

function drawStep(step: StepView, barColumns: number, { style, now }: FrameContext): string {
  const seconds = step.startedAt ? ((step.endedAt ?? now).getTime() - step.startedAt.getTime()) / 1_000 : 0;
  const attempt = step.attempt > 1 ? style.yellow(`  attempt ${step.attempt}`) : '';
  switch (step.state) {
    case StepState.RUNNING:
    case StepState.VALIDATING: {
      const { done, rest } = progressBar(step.fraction, barColumns);
      const percent = `${Math.floor(step.fraction * 100)} %`.padStart(5);
      const eta = step.etaSeconds === undefined ? '' : `  ETA ${formatSeconds(step.etaSeconds)}`;
      const stage = step.state === StepState.VALIDATING ? 'validating' : printable(step.stage);
      return `${style.cyan(done)}${style.dim(rest)} ${percent}${eta}  ${style.dim(stage)}${attempt}`;
    }
    case StepState.COMPLETED:
      return `${formatSeconds(seconds)}  ${step.outcome}${attempt}`;
    case StepState.FAILED:
      return `${style.red('failed')}${attempt}  ${printable(step.failure)}`;
    case StepState.READY:
      return step.attempt > 0 ? style.yellow('waits to be tried again') : style.dim('ready');
    default:
      return style.dim((StepState[step.state] ?? '').toLowerCase());
  }
}

function drawCurves(step: StepView, context: FrameContext, room: number): string[] {
  const { style, columns } = context;
  const losses = step.curves.losses();
  const best = step.curves.bestFitness();
  const lines: string[] = [];
  if (losses.length > 0) {
    lines.push(
      '',
      `  ${style.bold('loss')}  ${losses.map((curve) => legend(curve, style)).join(style.dim(' · '))}`,
    );
    const rows = Math.min(PLOT_ROWS, room - lines.length - (best ? 1 : 0));
    const curves: Curve[] = losses.map(({ points }) => ({ points }));
    lines.push(
      ...plotCurves(curves, { columns: Math.min(columns - 4, 100), rows }).map(
        (line) => `  ${style.cyan(line)}`,
      ),
    );
  }
  if (best) {
    const last = best.points[best.points.length - 1];
    const line = sparkline(
      best.points.map(({ y }) => y),
      Math.min(40, columns - 50),
    );
    const at = last ? `${style.green(formatNumber(last.y))} ${style.dim(`at generation ${last.x}`)}` : '';
    lines.push('', `  ${style.bold('best fitness')}  ${at}  ${style.cyan(line)}`);
  }
  return lines;
}

function legend(curve: SeriesView, style: Style): string {
  const last = curve.points[curve.points.length - 1];
  const name = printable(curve.subject || curve.series);
  return `${style.dim(name)} ${last ? formatNumber(last.y) : ''}`;
}

/** The step whose curves are drawn: one that is running, otherwise the last that has any. */
function focusOf(view: RunView): StepView | undefined {
  const withCurves = view.steps.filter((step) => step.curves.list().length > 0);
  return (
    withCurves.find((step) => step.state === StepState.RUNNING || step.state === StepState.VALIDATING) ??
    withCurves[withCurves.length - 1]
  );
}

function urgency(state: StepState): number {
  if (state === StepState.FAILED) return 0;
  if (state === StepState.RUNNING || state === StepState.VALIDATING) return 1;
  return state === StepState.READY ? 2 : state === StepState.PENDING ? 3 : 4;
}
