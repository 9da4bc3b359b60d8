/** Where text goes: standard output or error of a process, or a recording in a test. */
export interface Terminal {
  readonly isTTY: boolean;
  /** Width in characters; 80 where none is known. */
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
  /** Calls back on a change of size until the returned function is called. */
  onResize(listener: () => void): () => void;
}

/** A stream of this process as a terminal. A reader that goes away (`| head`) ends writing silently. */
export function terminalOf(stream: NodeJS.WriteStream): Terminal {
  let closed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    closed = true;
  });
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
    write: (text) => {
      if (!closed) stream.write(text);
    },
    onResize: (listener) => {
      stream.on('resize', listener);
      return () => stream.off('resize', listener);
    },
  };
}
