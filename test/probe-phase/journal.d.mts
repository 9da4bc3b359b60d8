/** One fact. */
export interface JournalLine {
  readonly key: string;
  /** One execution: process, thread, and when it began. */
  readonly life: string;
  readonly kind: 'begin' | 'unit' | 'checkpoint' | 'fail' | 'crash' | 'done';
  /** The unit that was done; for begin and checkpoint the one that comes next. */
  readonly unit: number;
  readonly pid: number;
  readonly timeMs: number;
}

export function machineTimeMs(): number;
export function readJournal(folder: string): JournalLine[];

export class Journal {
  constructor(folder: string, key: string);
  write(kind: JournalLine['kind'], unit: number): void;
  isAmongFirst(what: string, limit: number): boolean;
}
