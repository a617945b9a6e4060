/** The collections, read once and again when a page changed them. */
import { allCollections } from '../api/collections';
import { failure, type Failure } from '../api/failure';
import type { Collection } from '../api/types';

class Collections {
  all = $state.raw<Collection[] | null>(null);
  failed = $state.raw<Failure | null>(null);
  private reading: Promise<void> | null = null;

  find(nameOrId: string): Collection | undefined {
    return this.all?.find((one) => one.name === nameOrId || one.id === nameOrId);
  }

  /** Reads them if nobody has yet. */
  load(): Promise<void> {
    return this.all ? Promise.resolve() : this.reload();
  }

  /** Call it after a collection was made, changed or removed. */
  reload(): Promise<void> {
    this.reading ??= allCollections()
      .then(
        (all) => {
          this.all = all;
          this.failed = null;
        },
        (error: unknown) => {
          this.failed = failure(error);
        },
      )
      .finally(() => (this.reading = null));
    return this.reading;
  }

  forget(): void {
    this.all = null;
  }
}

export const collections = new Collections();
