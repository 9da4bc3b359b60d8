import { type Failure, type StepReport, StepReportSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { stepReportCodec, TASK_VERSION } from './codec.js';
import type { LetterSubject } from './letter-subject.js';
import type { Publisher } from './stream/publisher.js';
import type { WorkContext } from './stream/received-message.js';
import { ensureReportsConsumer, type Topology } from './stream/topology.js';
import { type Consumption, type Delivery, WorkConsumer } from './stream/work-consumer.js';
import { checkAttemptId, REPORTS_CONSUMER, reportSubject, STREAMS } from './subjects.js';

/** A report in the hands of the orchestrator. */
export interface DeliveredReport extends Omit<Delivery<StepReport>, 'value'> {
  readonly report: StepReport;
}

/** How reports are taken. */
export interface ReportConsumeOptions {
  /** Most reports held at once, those that wait for another of their run included. Default 64. */
  readonly concurrency?: number;
  /** Silence after which a report is delivered again, ms. Default: the topology's. */
  readonly ackWaitMs?: number;
  /**
   * Whether those of one run are handled one after another. Default true. When false, their handlers start in order
   * and overlap, for a handler that keeps the order itself and gains by seeing many at once.
   */
  readonly isSerial?: boolean;
}

/** Time until a report about a dead letter has to be stored; when it is not, the letter's message comes again. */
const LOST_TIMEOUT_MS = 10_000;

/** What workers say about attempts; kept until the orchestrator has committed what follows from it. */
export class Reports {
  constructor(
    private readonly context: WorkContext,
    private readonly publisher: Publisher,
    private readonly topology: Topology,
  ) {}

  /**
   * Reports, and tries until the server has it.
   * @param phase  phase of the task
   * @param n      tells reports of one kind apart: the number of the checkpoint, of the delivery
   * @throws the signal's reason when it aborts first
   */
  async publish(
    phase: string,
    report: StepReport,
    n = 0,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    await this.publisher.publish({
      stream: STREAMS.reports,
      subject: reportSubject(phase),
      data: stepReportCodec.encode({ ...report, version: TASK_VERSION }),
      id: `${checkAttemptId(report.attemptId)}:${report.payload.case}:${n}`,
      timeoutMs: Number.POSITIVE_INFINITY,
      signal: options.signal,
    });
  }

  /**
   * Reports that the task of an attempt became a dead letter. Repeated: known once.
   * @throws EventLogUnavailableError, StreamFullError  not stored in time
   */
  async publishLost(
    { run, stepId, attemptId, phase }: LetterSubject,
    failure: Pick<Failure, 'code' | 'reason' | 'message' | 'failureClass'>,
    letterSequence: number,
  ): Promise<void> {
    const deadLetterSequence = BigInt(letterSequence);
    const report = create(StepReportSchema, {
      run,
      stepId,
      attemptId,
      version: TASK_VERSION,
      time: timestampNow(),
      payload: { case: 'failed', value: { failure, deadLetterSequence } },
    });
    await this.publisher.publish({
      stream: STREAMS.reports,
      subject: reportSubject(phase),
      data: stepReportCodec.encode(report),
      id: `${checkAttemptId(attemptId)}:lost:${letterSequence}`,
      timeoutMs: LOST_TIMEOUT_MS,
    });
  }

  /**
   * Takes reports until stopped, together with all other replicas. Those of one run that this replica
   * takes are handled one after another, in order; different runs in parallel.
   */
  async consume(
    handler: (delivered: DeliveredReport) => Promise<void>,
    options: ReportConsumeOptions = {},
  ): Promise<Consumption> {
    const { concurrency = 64, ackWaitMs = this.topology.ackWaitMs, isSerial = true } = options;
    return WorkConsumer.start<StepReport>(this.context, {
      stream: STREAMS.reports,
      consumer: REPORTS_CONSUMER,
      origin: 'reports',
      ensure: () => ensureReportsConsumer(this.context.connection, ackWaitMs),
      decode: (data) => stepReportCodec.decode(data),
      handle: ({ value, ...words }) => handler({ report: value, ...words }),
      concurrency,
      ackWaitMs,
      keepAlive: true,
      confirmsAcks: false,
      ...(isSerial ? { keyOf: (report: StepReport) => report.run } : {}),
    });
  }
}
