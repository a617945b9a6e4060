/** Collections as they are defined: read, judged before they are saved, changed, imported. */
import { del, get, patch, path, post, put } from './client';
import type { Collection, CollectionType, Field, Item } from './types';

/** What new collections of each type begin with. */
export const scaffolds = (): Promise<Record<CollectionType, Collection>> => get('/api/collections/meta/scaffolds');

/** A definition as it would be saved, and the violations that a save would be refused for. Nothing is written. */
export const check = (id: string, collection: unknown, signal: AbortSignal): Promise<{ collection: Collection; data: unknown }> =>
  post('/api/collections/meta/check', { id, collection }, { signal });

/** The fields of a view's query, and some of its records. */
export const dryRun = (query: string, signal: AbortSignal): Promise<{ fields: Field[]; sample: Item[] }> =>
  post('/api/collections/meta/dry-run-view', { query }, { signal });

export interface KnownProvider {
  name: string;
  displayName: string;
}
export const providers = (): Promise<KnownProvider[]> => get('/api/collections/meta/oauth2-providers');

export const one = (id: string): Promise<Collection> => get(path`/api/collections/${id}`);
export const create = (collection: unknown): Promise<Collection> => post('/api/collections', collection);
export const change = (id: string, values: unknown): Promise<Collection> => patch(path`/api/collections/${id}`, values);
export const remove = (id: string): Promise<void> => del(path`/api/collections/${id}`);
export const truncate = (id: string): Promise<void> => del(path`/api/collections/${id}/truncate`);

export interface Planned {
  before: Collection | null;
  after: Collection | null;
}
/** What an import would do. */
export const plan = async (collections: unknown[], deleteMissing: boolean, signal: AbortSignal): Promise<Planned[]> =>
  (await post<{ items: Planned[] }>('/api/collections/meta/plan', { collections, deleteMissing }, { signal })).items;
export const importAll = (collections: unknown[], deleteMissing: boolean): Promise<void> =>
  put('/api/collections/import', { collections, deleteMissing });

export const testMail = (form: { collection: string; template: string; email: string }): Promise<void> =>
  post('/api/settings/test/email', form);
export const appNames = async (): Promise<{ appName: string; appURL: string }> =>
  (await get<{ meta: { appName: string; appURL: string } }>('/api/settings', { fields: 'meta' })).meta;

export interface Template {
  subject: string;
  body: string;
}
export interface Token {
  duration: number;
  /** Only where a new one is set: every token that the old one signed ends. */
  secret?: string;
}
export interface Provider {
  name: string;
  displayName: string;
  clientId: string;
  /** Left out, it stays. */
  clientSecret?: string;
  authURL: string;
  tokenURL: string;
  userInfoURL: string;
  pkce: boolean | null;
  extra: Record<string, unknown>;
}
export const TOKENS = ['authToken', 'passwordResetToken', 'emailChangeToken', 'verificationToken', 'fileToken'] as const;
export type TokenName = (typeof TOKENS)[number];

/** What auth collections have besides. */
export interface AuthOptions extends Record<TokenName, Token> {
  authRule: string | null;
  manageRule: string | null;
  passwordAuth: { enabled: boolean; identityFields: string[] };
  otp: { enabled: boolean; duration: number; length: number; emailTemplate: Template };
  mfa: { enabled: boolean; duration: number; rule: string };
  oauth2: { enabled: boolean; providers: Provider[]; mappedFields: Record<'id' | 'name' | 'username' | 'avatarURL', string> };
  authAlert: { enabled: boolean; emailTemplate: Template };
  verificationTemplate: Template;
  resetPasswordTemplate: Template;
  confirmEmailChangeTemplate: Template;
}

export interface Cache {
  ttl: number;
  scope: 'public' | 'user';
  staleWhileRevalidate: number;
  staleIfError: number;
}
