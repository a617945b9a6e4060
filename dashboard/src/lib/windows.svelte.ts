/** A long list of which only some pages are in memory: those that are looked at, and their neighbours. */
import { failure, isAborted, type Failure } from '../api/failure';

const PAGE_ROWS = 100;
const PAGES_KEPT_MAX = 60;
const LOADING_MAX = 3;
/** While somebody scrolls, what is wanted is looked at so often, so that pages that fly past are not asked for. */
const SETTLE_MS = 40;

export class Windows<Row> {
  total = $state(0);
  /** Whether the total is known. */
  isCounted = $state(false);
  failed = $state.raw<Failure | null>(null);
  private pages = $state.raw(new Map<number, Row[]>());
  private loading = new Map<number, AbortController>();
  private wanted: number[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private counting = new AbortController();
  private isClosed = false;

  constructor(
    private fetchPage: (page: number, perPage: number, signal: AbortSignal) => Promise<Row[]>,
    count: (signal: AbortSignal) => Promise<number>,
  ) {
    // The first page shows before the rows are counted, which takes longer.
    this.load(0);
    count(this.counting.signal).then(
      (total) => {
        this.total = total;
        this.isCounted = true;
      },
      (error: unknown) => this.fail(error),
    );
  }

  row(index: number): Row | undefined {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** Says which rows are visible. */
  want(first: number, last: number): void {
    const [from, to] = [Math.floor(first / PAGE_ROWS), Math.floor(Math.max(first, last - 1) / PAGE_ROWS)];
    const visible = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    this.wanted = [...visible, to + 1, from - 1].filter((page) => page >= 0 && page * PAGE_ROWS < Math.max(this.total, 1));
    for (const [page, abort] of this.loading) if (!this.wanted.includes(page)) abort.abort();
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.next();
    }, SETTLE_MS);
  }

  /** Puts a changed row in the place of the one that is shown. */
  replace(isIt: (row: Row) => boolean, by: (row: Row) => Row): void {
    const pages = new Map(this.pages);
    for (const [page, rows] of pages) {
      const at = rows.findIndex(isIt);
      const old = rows[at];
      if (old !== undefined) pages.set(page, rows.with(at, by(old)));
    }
    this.pages = pages;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.counting.abort();
    for (const abort of this.loading.values()) abort.abort();
  }

  private next(): void {
    for (const page of this.wanted) {
      if (this.loading.size >= LOADING_MAX) return;
      if (!this.pages.has(page) && !this.loading.has(page)) this.load(page);
    }
  }

  private load(page: number): void {
    const abort = new AbortController();
    this.loading.set(page, abort);
    this.fetchPage(page + 1, PAGE_ROWS, abort.signal)
      .then(
        (rows) => {
          const pages = new Map(this.pages);
          pages.set(page, rows);
          // The farthest from what is looked at goes first.
          const near = this.wanted[0] ?? page;
          while (pages.size > PAGES_KEPT_MAX) {
            pages.delete([...pages.keys()].reduce((a, b) => (Math.abs(a - near) > Math.abs(b - near) ? a : b)));
          }
          this.pages = pages;
          this.total = Math.max(this.total, page * PAGE_ROWS + rows.length);
          this.failed = null;
        },
        (error: unknown) => this.fail(error),
      )
      .finally(() => {
        if (this.loading.get(page) === abort) this.loading.delete(page);
        if (!this.isClosed && !this.failed) this.next();
      });
  }

  private fail(error: unknown): void {
    if (!isAborted(error)) this.failed = failure(error);
  }
}
