import type { LogLine, StepProgress, WatchRunResponse } from '@agentforge/contracts';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Frame } from '../output/frame.js';
import type { Style } from '../output/style.js';
import type { Terminal } from '../output/terminal.js';
import { formatClock, formatNumber, formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import { renderEvent } from './event-line.js';
import { drawRun } from './run-frame.js';
import type { RunView } from './run-view.js';

/** Shows a run while it goes on. */
export interface RunViewer {
  /** Something happened; the view has taken it in. */
  update(update: WatchRunResponse): void;
  /** A line that is not from the run, for example about a restart. */
  note(line: string): void;
  /** Ends showing. */
  close(): void;
}

/** What a viewer needs. */
export interface ViewerOptions {
  readonly terminal: Terminal;
  readonly style: Style;
  readonly view: RunView;
  /** Whether log lines of level "info" are shown too; warnings and errors always are. */
  readonly showLog?: boolean;
}

/** A picture on a terminal, lines everywhere else. */
export function createViewer(options: ViewerOptions): RunViewer {
  return options.terminal.isTTY ? new PictureViewer(options) : new LineViewer(options);
}

/** Draws the run in place; events of weight stay as lines above. */
class PictureViewer implements RunViewer {
  private readonly frame: Frame;
  private readonly clock: NodeJS.Timeout;

  constructor(private readonly options: ViewerOptions) {
    const { terminal, style, view } = options;
    this.frame = new Frame(terminal, () =>
      drawRun(view, { style, columns: terminal.columns, rows: terminal.rows, now: new Date() }),
    );
    this.clock = setInterval(() => this.frame.update(), 1_000);
  }

  update({ update }: WatchRunResponse): void {
    if (update.case === 'progress') {
      for (const line of linesToShow(update.value, this.options))
        this.frame.print(renderLog(line, this.options.style));
    }
    this.frame.update();
  }

  note(line: string): void {
    this.frame.print(this.options.style.yellow(line));
  }

  close(): void {
    clearInterval(this.clock);
    this.frame.close(true);
  }
}

/** Share of a step, or time, after which a line about its progress is due. */
const LINE_EVERY_FRACTION = 0.1;
const LINE_EVERY_MS = 15_000;

/** Prints one line per event, and one per tenth of a step's progress or fifteen seconds. */
class LineViewer implements RunViewer {
  private readonly printed = new Map<string, { stage: string; fraction: number; time: number }>();

  constructor(private readonly options: ViewerOptions) {}

  update({ update }: WatchRunResponse): void {
    const { style } = this.options;
    if (update.case === 'event') this.print(renderEvent(update.value, style));
    if (update.case !== 'progress') return;
    for (const line of linesToShow(update.value, this.options)) this.print(renderLog(line, style));
    if (this.isDue(update.value)) this.print(this.progressLine(update.value));
  }

  note(line: string): void {
    this.print(`${this.options.style.dim(formatClock(new Date()))}  ${line}`);
  }

  close(): void {
    this.printed.clear();
  }

  private print(line: string): void {
    this.options.terminal.write(`${line}\n`);
  }

  private isDue(progress: StepProgress): boolean {
    const last = this.printed.get(progress.stepId);
    const now = progress.time ? timestampDate(progress.time).getTime() : Date.now();
    const due =
      !last ||
      progress.stage !== last.stage ||
      progress.fraction >= last.fraction + LINE_EVERY_FRACTION ||
      now >= last.time + LINE_EVERY_MS ||
      progress.fraction < last.fraction;
    if (due)
      this.printed.set(progress.stepId, { stage: progress.stage, fraction: progress.fraction, time: now });
    return due;
  }

  private progressLine(progress: StepProgress): string {
    const { style, view } = this.options;
    const step = view.step(progress.stepId);
    const time = progress.time ? timestampDate(progress.time) : new Date();
    const eta = step?.etaSeconds === undefined ? '' : `, ETA ${formatSeconds(step.etaSeconds)}`;
    const newest = new Map(
      progress.points.map((point) => [`${point.series}[${point.subject}]`, point.value]),
    );
    const curves = [...newest].map(([label, value]) => `${label.replace('[]', '')} ${formatNumber(value)}`);
    const text = [`${Math.floor(progress.fraction * 100)} %${eta}`, progress.stage, ...curves]
      .filter((part) => part !== '')
      .join(' · ');
    return `${style.dim(formatClock(time))}  ${progress.stepId}: ${printable(text)}`;
  }
}

function linesToShow(progress: StepProgress, { showLog }: ViewerOptions): LogLine[] {
  return progress.lines.filter((line) => showLog === true || line.level !== 'info');
}

function renderLog(line: LogLine, style: Style): string {
  const time = line.time ? formatClock(timestampDate(line.time)) : '        ';
  const paint = line.level === 'error' ? style.red : line.level === 'warn' ? style.yellow : style.dim;
  return `${style.dim(time)}  ${paint(printable(line.text))}`;
}
