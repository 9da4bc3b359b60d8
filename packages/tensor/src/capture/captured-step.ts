import { canRecord, native } from '../backend.js';
import { empty } from '../create.js';
import { type DType, formatShape, type Shape, sizeOf } from '../dtype.js';
import { ArgumentError, StateError } from '../errors.js';
import { scope, tensorsIn } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { recordStreams, StreamRecorder } from './stream-recorder.js';

/** What a step is given: elements on the host, as many as the shape of that name has. */
export type StepInputs<Name extends string> = Readonly<Record<Name, Int32Array | Float32Array>>;

/** Settings of captureStep(). */
export interface CaptureOptions {
  /**
   * Runs before the one that is recorded. They make what lasts from step to step (buffers of gradients, moments, tables,
   * plans of products), which must not become part of the recording. Default 2, at least 1.
   */
  readonly warmUpRuns?: number;
}

/**
 * A step of work on inputs of constant shape: run call by call on a device that cannot record, such as the processor, and
 * where every op is looked at for NaN; elsewhere recorded once and replayed, which costs the host one launch.
 */
export class CapturedStep<Name extends string, Result> {
  private readonly shapes: Readonly<Record<Name, Shape>>;
  private readonly fn: (inputs: Readonly<Record<Name, Tensor>>) => Result;
  private readonly warmUpRuns: number;
  private readonly buffers = new Map<Name, Tensor>();
  private runs = 0;
  private result: Result | undefined;
  /** Tensors of the result that this step frees. */
  private owned: Tensor[] = [];
  private recording: number | null = null;
  private streams = new StreamRecorder();
  private isClosed = false;

  /** @internal captureStep() */
  constructor(
    shapes: Readonly<Record<Name, Shape>>,
    fn: (inputs: Readonly<Record<Name, Tensor>>) => Result,
    { warmUpRuns = 2 }: CaptureOptions,
  ) {
    if (!Number.isInteger(warmUpRuns) || warmUpRuns < 1) {
      throw new ArgumentError(`captureStep: ${warmUpRuns} warm-up runs; at least 1`);
    }
    this.shapes = shapes;
    this.fn = fn;
    this.warmUpRuns = warmUpRuns;
  }

  /** Whether the step was recorded: from now on the function is not called again. */
  get isCaptured(): boolean {
    return this.recording !== null;
  }

  /**
   * One run of the step.
   * @param inputs  copied to the tensors that the function got
   * @returns       what the function returned; its tensors hold this run's elements until the next replay() or close()
   * @throws ArgumentError INVALID_ARGUMENT: inputs that are missing, unexpected, of another size or kind than at first, all at once
   * @throws UnsupportedOpError UNIMPLEMENTED: the step cannot be recorded: a call that waits for the device, moves elements to or
   *         from the host, or runs on the processor, by name. Nothing was recorded
   * @throws StateError INVALID_ARGUMENT: the step was closed
   */
  replay(inputs: StepInputs<Name>): Result {
    if (this.isClosed) throw new StateError('replay: the captured step was closed');
    this.take(inputs);
    if (this.recording === null && (this.runs < this.warmUpRuns || !canRecord())) {
      this.runs++;
      this.adopt(this.run());
    } else {
      this.recording ??= this.record();
      this.streams.advance();
      native().replayCapture(this.recording);
    }
    return this.result as Result;
  }

  /** Frees the recording, the inputs and the last result. A second call does nothing. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.recording !== null) native().freeCapture(this.recording);
    for (const tensor of [...this.owned, ...this.buffers.values()]) tensor.dispose();
    this.streams.dispose();
  }

  private run(): Result {
    return scope(() => this.fn(Object.fromEntries(this.buffers) as Record<Name, Tensor>));
  }

  private record(): number {
    const streams = new StreamRecorder();
    native().beginCapture();
    try {
      this.adopt(recordStreams(streams, () => this.run()));
      this.streams = streams;
      return native().endCapture();
    } catch (thrown) {
      native().abortCapture();
      streams.dispose();
      throw thrown;
    }
  }

  /** Keeps a result, and frees the one before. */
  private adopt(result: Result): void {
    const before = this.owned;
    const made = [...tensorsIn(result)];
    this.owned = made.filter((tensor) => !tensor.isKept || before.includes(tensor));
    for (const tensor of this.owned) tensor.keep();
    for (const tensor of before) if (!this.owned.includes(tensor)) tensor.dispose();
    this.result = result;
  }

  private take(inputs: StepInputs<Name>): void {
    const names = Object.keys(this.shapes) as Name[];
    const problems = names.flatMap((name) => this.problemOf(name, inputs[name]));
    for (const name of Object.keys(inputs))
      if (!(name in this.shapes)) problems.push(`${name} is not an input`);
    if (problems.length > 0) throw new ArgumentError(`replay: ${problems.join('; ')}`);
    for (const name of names) {
      let buffer = this.buffers.get(name);
      if (buffer === undefined) {
        buffer = empty(this.shapes[name], { dtype: dtypeOf(inputs[name]) }).keep();
        this.buffers.set(name, buffer);
      }
      buffer.write(inputs[name]);
    }
  }

  private problemOf(name: Name, data: Int32Array | Float32Array | undefined): string[] {
    const shape = this.shapes[name];
    if (data === undefined) return [`${name} ${formatShape(shape)} is missing`];
    const dtype = this.buffers.get(name)?.dtype ?? dtypeOf(data);
    if (data.length !== sizeOf(shape))
      return [`${name} has ${data.length} elements, ${formatShape(shape)} needs ${sizeOf(shape)}`];
    return dtype === dtypeOf(data) ? [] : [`${name} is ${dtypeOf(data)}, was ${dtype}`];
  }
}

function dtypeOf(data: Int32Array | Float32Array): DType {
  return data instanceof Int32Array ? 'i32' : 'f32';
}

/**
 * A step that a device may record and replay; on a device that cannot, it runs call by call, with the same results.
 *
 * The function's arguments other than tensors, and all it computes on the host, are those of the recording in every
 * replay. What changes must be in an input, in tensors written between replays ({@link AdamW.prepare}), or drawn by
 * dropout() and uniform() from a Philox stream, which moves on as if the function had run.
 * @param shapes  of the inputs, by name
 * @param fn      the step; called for the warm-up runs and for the recording, always on the same tensors
 */
export function captureStep<const Name extends string, Result>(
  shapes: Readonly<Record<Name, Shape>>,
  fn: (inputs: Readonly<Record<Name, Tensor>>) => Result,
  options: CaptureOptions = {},
): CapturedStep<Name, Result> {
  return new CapturedStep(shapes, fn, options);
}
