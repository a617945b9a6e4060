import { get } from './client';
import type { Collection, Page } from './types';

const PER_PAGE = 500;

/** All collections, in the order of their names. */
export async function allCollections(signal?: AbortSignal): Promise<Collection[]> {
  const all: Collection[] = [];
  for (let page = 1; ; page++) {
    const got = await get<Page<Collection>>(
      '/api/collections',
      { page, perPage: PER_PAGE, sort: 'name', skipTotal: true },
      signal,
    );
    all.push(...got.items);
    if (got.items.length < PER_PAGE) return all;
  }
}
