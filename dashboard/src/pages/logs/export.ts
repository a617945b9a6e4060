/** Entries as files: read page after page, the newest first, and written as they come. */
import type { Format } from '../../api/exchange';
import * as api from '../../api/insight';
import type { Values } from '../../api/types';
import { csv } from '../../lib/csv';

/** A file is put together in the browser's memory, and has no more. */
export const ENTRIES_MAX = 100_000;
const PAGE_ENTRIES = 1000;

export interface Pages {
  /** How many entries there are. */
  count: (filter: string, signal: AbortSignal) => Promise<number>;
  /** The parts of the file, and of how many entries each one is. */
  parts: (filter: string, format: Format, signal: AbortSignal) => AsyncGenerator<{ text: string; entries: number }>;
}

function pages<Entry extends { id: string; created: string }>(
  list: (query: api.ListQuery, signal: AbortSignal) => Promise<Entry[]>,
  count: Pages['count'],
  columns: string[],
  values: (entry: Entry) => Values,
): Pages {
  const line = (entry: Entry): (string | null)[] => {
    const all = values(entry);
    return columns.map((column) => written(all[column]));
  };
  async function* parts(filter: string, format: Format, signal: AbortSignal) {
    if (format === 'csv') yield { text: csv([columns]), entries: 0 };
    let after = '';
    for (let left = ENTRIES_MAX; left > 0; ) {
      const perPage = Math.min(PAGE_ENTRIES, left);
      const wanted = [filter, after].filter(Boolean).join(' && ');
      const entries = await list({ filter: wanted, sort: '-created,-id', page: 1, perPage }, signal);
      const text = format === 'csv' ? csv(entries.map(line)) : entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      yield { text, entries: entries.length };
      const last = entries.at(-1);
      if (!last || entries.length < perPage) return;
      // By its number a page would be another one as soon as entries come or go.
      after = `(created < "${last.created}" || (created = "${last.created}" && id < "${last.id}"))`;
      left -= entries.length;
    }
  }
  return { count, parts };
}

function written(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What most requests have stands in columns of its own; the rest stays together. */
const OF_REQUESTS = ['type', 'status', 'method', 'url', 'execTime', 'auth', 'userIP', 'userAgent', 'referer', 'error', 'node', 'requestId'];

export const PAGES = {
  logs: pages(api.logs, api.logCount, ['id', 'created', 'level', 'message', ...OF_REQUESTS, 'data'], ({ data, ...entry }) => {
    const of = (isOwn: boolean): Values => Object.fromEntries(Object.entries(data).filter(([name]) => OF_REQUESTS.includes(name) === isOwn));
    return { ...of(true), ...entry, data: of(false) };
  }),
  audit: pages(
    api.audits,
    api.auditCount,
    ['id', 'created', 'action', 'collection', 'target', 'outcome', 'status', 'detail', 'actor', 'email', 'ip', 'request', 'node', 'changes'],
    (entry) => ({ ...entry }),
  ),
};
