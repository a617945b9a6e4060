/** A long list that is read again and again: what is shown stays until what comes after it is there. Made while a component is. */
import { untrack } from 'svelte';

import { Windows } from '../../lib/windows.svelte';

export class Steady<Row> {
  shown = $state.raw<Windows<Row>>();
  private next = $state.raw<Windows<Row>>();

  constructor() {
    $effect(() => {
      const next = this.next;
      const isThere = next && ((next.isCounted && (next.row(0) !== undefined || !next.total)) || next.failed);
      if (!isThere) return;
      untrack(() => {
        this.shown?.close();
        this.shown = next;
        this.next = undefined;
      });
    });
    $effect(() => () => {
      untrack(() => this.shown)?.close();
      untrack(() => this.next)?.close();
    });
  }

  read(page: (page: number, perPage: number, signal: AbortSignal) => Promise<Row[]>, count: (signal: AbortSignal) => Promise<number>): void {
    untrack(() => {
      this.next?.close();
      this.next = new Windows(page, count);
    });
  }
}
