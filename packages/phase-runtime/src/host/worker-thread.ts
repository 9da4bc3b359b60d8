import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { SpreadOrder, SubtaskEnd, SubtaskInput } from '../subtasks/subtask-messages.js';
import type { HostMessage, ThreadMessage, WorkerInput, WorkerMessage } from '../worker/messages.js';

/** Listens to one piece of work in a thread. */
export interface WorkListener<Message = WorkerMessage> {
  /** What the work says, in order; nothing that an earlier piece of work still has to say. */
  onMessage(message: Message): void;
  /** The thread ended, after everything that the work said. */
  onExit(exitCode: number, error: unknown): void;
}

/** A thread that has loaded the modules of a phase, or is loading them, and works for one listener at a time. */
export class WorkerThread {
  /** Pieces of work that it was given. */
  tasks = 0;
  isGone = false;
  /** Whether the modules are loaded. */
  isLoaded = false;
  private readonly worker: Worker;
  private error: unknown;
  private listener: { readonly port: MessagePort; readonly words: WorkListener<never> } | undefined;

  constructor(url: URL, name: string) {
    this.worker = new Worker(url, { name, execArgv: [] });
    this.worker.on('message', (word: ThreadMessage) => {
      if (word.kind === 'loaded') this.isLoaded = true;
    });
    // A thread that only waits does not keep the process alive; listening alone would.
    this.worker.unref();
    this.worker.on('error', (error) => {
      this.error ??= error;
    });
    this.worker.on('exit', (exitCode) => this.exited(exitCode));
  }

  /** Gives it work. What it says comes on a channel of its own, so that late words of earlier work reach nobody. */
  work(input: WorkerInput, words: WorkListener): void {
    this.tasks += 1;
    this.open<WorkerMessage>(input, words);
  }

  /** Lets it compute subtasks of other workers, one after another as {@link tell} gives them. */
  help(words: WorkListener<SubtaskEnd>): void {
    this.open<SubtaskEnd>(undefined, words);
  }

  /** Says something to the work that it does. */
  tell(message: SpreadOrder | SubtaskInput): void {
    this.listener?.port.postMessage(message);
  }

  private open<Message>(input: WorkerInput | undefined, words: WorkListener<Message>): void {
    const { port1, port2 } = new MessageChannel();
    this.listener = { port: port1, words: words as WorkListener<never> };
    this.worker.ref();
    port1.on('message', (message: Message) => {
      // The two ports are not in step: its words may come before the thread's own.
      this.isLoaded = true;
      words.onMessage(message);
    });
    const message: HostMessage = { input, port: port2 };
    this.worker.postMessage(message, [port2]);
  }

  /** Its work has ended. */
  rest(): void {
    this.listener?.port.close();
    this.listener = undefined;
    this.worker.unref();
  }

  /** Ends it, whatever it is doing. */
  async terminate(): Promise<void> {
    await this.worker.terminate();
  }

  private exited(exitCode: number): void {
    this.isGone = true;
    const { listener } = this;
    if (!listener) return;
    for (;;) {
      const received = receiveMessageOnPort(listener.port);
      if (!received) break;
      listener.words.onMessage(received.message as never);
    }
    this.rest();
    listener.words.onExit(exitCode, this.error);
  }
}

type MessagePort = MessageChannel['port1'];
