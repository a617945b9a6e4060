/** Settings while they are edited: what is there, what it shall become, and what the server said of it. Only what was changed is
 * sent, so that a secret that was not entered anew stays, and so does what somebody else changed meanwhile. */
import type { Part } from '../../api/settings';
import { failure, isAborted, type Failure, type Violation } from '../../api/failure';

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What of `after` is not as in `before`; lists are taken whole. */
export function difference<T extends object>(before: T, after: T): Part<T> {
  const changes: Tree = {};
  for (const [name, value] of Object.entries(after)) {
    const old = (before as Tree)[name];
    if (value === undefined) continue;
    if (isTree(value) && isTree(old)) {
      const inner = difference(old, value);
      if (Object.keys(inner).length) changes[name] = inner;
    } else if (JSON.stringify(value) !== JSON.stringify(old)) changes[name] = value;
  }
  return changes as Part<T>;
}

/** The text of what lies at a path such as `smtp.port`. */
function textAt(root: unknown, at: string): string | undefined {
  return JSON.stringify(at.split('.').reduce((value, name) => (value as Tree | undefined)?.[name], root));
}

export class Form<T extends object> {
  draft = $state<T | null>(null);
  failed = $state.raw<Failure | null>(null);
  private refused = $state.raw<{ draft: T; message: string; fields: Record<string, Violation> } | null>(null);
  /** What the server said of fields; what was changed since is not what it spoke of. */
  fields = $derived.by(() => {
    const [refused, draft] = [this.refused, this.draft];
    if (!refused || !draft) return {};
    return Object.fromEntries(Object.entries(refused.fields).filter(([at]) => textAt(refused.draft, at) === textAt(draft, at)));
  });
  /** Said of the whole. */
  problem = $derived(this.refused && JSON.stringify(this.draft) === JSON.stringify(this.refused.draft) ? this.refused.message : '');
  busy = $state(false);
  kept = $state.raw<T | null>(null);
  changes = $derived(this.kept && this.draft ? difference(this.kept, $state.snapshot(this.draft) as T) : ({} as Part<T>));
  isChanged = $derived(Object.keys(this.changes).length > 0);
  private abort = new AbortController();

  constructor(
    private read: (signal: AbortSignal) => Promise<T>,
    private write: (changes: Part<T>) => Promise<T>,
  ) {
    void this.load();
  }

  load = async (): Promise<void> => {
    try {
      this.take(await this.read(this.abort.signal));
    } catch (error) {
      if (!isAborted(error)) this.failed = failure(error);
    }
  };

  reset = (): void => {
    if (this.kept) this.take(this.kept);
  };

  /** Whether it was saved. */
  async save(): Promise<boolean> {
    if (this.busy || !this.isChanged) return false;
    this.busy = true;
    this.refused = null;
    const draft = $state.snapshot(this.draft) as T;
    try {
      this.take(await this.write(this.changes));
      return true;
    } catch (error) {
      const found = failure(error);
      this.refused = { draft, message: found.message, fields: found.fields };
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** What was said of a field, by its path. */
  error = (at: string): string | undefined => this.fields[at]?.message;

  close = (): void => this.abort.abort();

  private take(value: T): void {
    this.kept = value;
    this.draft = structuredClone(value);
    this.failed = null;
    this.refused = null;
  }
}
