/** The network between one service and NATS. */
export class Network {
  static start(): Promise<Network>;
  get url(): string;
  lead(url: string): void;
  cut(): void;
  refuse(isRefusing: boolean): void;
  delay(delayMs: number): void;
  hold(isHolding: boolean): void;
  stop(): Promise<void>;
}
