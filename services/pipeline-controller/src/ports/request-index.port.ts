/** Which run a request id of a project stands for, over all replicas. */
export abstract class RequestIndexPort {
  /** Claims a request id for a run; returns the run that it stands for. */
  abstract claim(project: string, requestId: string, run: string): Promise<string>;
  /** Gives a claim back whose run was refused. */
  abstract release(project: string, requestId: string, run: string): Promise<void>;
}
