/** Files of records. Protected ones need a token of their own, which lives for a short while. */
import { address, path, post } from './client';
import type { Item } from './types';

const TOKEN_KEPT_MS = 60_000;
let kept: { token: Promise<string>; until: number } | null = null;

/** A token for protected files and downloads. */
export function fileToken(): Promise<string> {
  if (!kept || kept.until < Date.now()) {
    const token = post<{ token: string }>('/api/files/token').then((got) => got.token);
    kept = { token, until: Date.now() + TOKEN_KEPT_MS };
    token.catch(() => (kept = null));
  }
  return kept.token;
}

export async function fileAddress(
  record: Item,
  name: string,
  options: { thumb?: string; download?: boolean; isProtected?: boolean } = {},
): Promise<string> {
  const { thumb, download, isProtected } = options;
  const to = path`/api/files/${record.collectionId}/${record.id}/${name}`;
  return address(to, { thumb, download: download ? 1 : undefined, token: isProtected ? await fileToken() : undefined });
}

const PICTURES = /\.(jpe?g|png|gif|webp|svg|avif)$/i;
export const isPicture = (name: string): boolean => PICTURES.test(name);
const THUMBED = /\.(jpe?g|png|gif|webp)$/i;
export const isThumbed = (name: string): boolean => THUMBED.test(name);
