/** Something that is asked for again and again while somebody looks: one request at a time, none in a hidden tab, and what was
 * there stays when one fails. */
import { failure, isAborted, type Failure } from '../api/failure';

export class Poll<T> {
  value = $state.raw<T | null>(null);
  failed = $state.raw<Failure | null>(null);
  private abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;

  constructor(
    private ask: (signal: AbortSignal, before: T | null) => Promise<T>,
    private everyMs: number,
  ) {
    document.addEventListener('visibilitychange', this.shown);
    void this.now();
  }

  /** Asks now, unless it is being asked already. */
  now = async (): Promise<void> => {
    if (this.asking || this.abort.signal.aborted) return;
    clearTimeout(this.timer);
    this.asking = true;
    try {
      this.value = await this.ask(this.abort.signal, this.value);
      this.failed = null;
    } catch (error) {
      if (!isAborted(error)) this.failed = failure(error);
    } finally {
      this.asking = false;
    }
    if (!this.abort.signal.aborted && !document.hidden) this.timer = setTimeout(() => void this.now(), this.everyMs);
  };

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.shown);
  }

  private shown = (): void => {
    if (!document.hidden) void this.now();
  };
}
