import { del, get, patch, path, post, upload } from './client';
import type { Item, Page, Values } from './types';

export interface ListQuery {
  filter?: string;
  sort?: string;
  fields?: string;
  expand?: string;
}

const at = (collection: string): string => path`/api/collections/${collection}/records`;
const one = (collection: string, id: string): string => path`/api/collections/${collection}/records/${id}`;

export async function page(
  collection: string,
  query: ListQuery & { page: number; perPage: number },
  signal?: AbortSignal,
): Promise<Item[]> {
  return (await get<Page<Item>>(at(collection), { ...query, skipTotal: true }, signal)).items;
}

export async function count(collection: string, filter: string, signal?: AbortSignal): Promise<number> {
  const query = { page: 1, perPage: 1, filter, fields: 'id' };
  return (await get<Page<Item>>(at(collection), query, signal)).totalItems;
}

export const view = (collection: string, id: string, expand = '', signal?: AbortSignal): Promise<Item> =>
  get<Item>(one(collection, id), { expand }, signal);

export const remove = (collection: string, id: string): Promise<void> => del(one(collection, id));

export const change = (collection: string, id: string, values: Values): Promise<Item> =>
  patch<Item>(one(collection, id), values);

export const create = (collection: string, values: Values): Promise<Item> => post<Item>(at(collection), values);

/** The same with files, and progress. */
export function save(
  collection: string,
  id: string | null,
  values: Values,
  files: [string, File][],
  sent: (part: number) => void,
): Promise<Item> {
  if (!files.length) return id === null ? create(collection, values) : change(collection, id, values);
  const form = new FormData();
  form.append('@jsonPayload', JSON.stringify(values));
  for (const [name, file] of files) form.append(name, file);
  return id === null
    ? upload<Item>('POST', at(collection), form, sent)
    : upload<Item>('PATCH', one(collection, id), form, sent);
}

/** Several deletes at once, all or nothing where the server has batches on. */
export const batch = (requests: { method: string; url: string; body?: Values }[]): Promise<unknown> =>
  post('/api/batch', { requests });
