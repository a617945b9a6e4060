/** Webhooks and what became of their deliveries: see docs/webhooks.md. */
import { del, get, patch, path, post } from './client';
import type { Page } from './types';

export const EVENTS = ['create', 'update', 'delete'] as const;
export type EventName = (typeof EVENTS)[number];
export const STATES = ['pending', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof STATES)[number];

export interface WebhookForm {
  name: string;
  url: string;
  collections: string[];
  events: EventName[];
  filter: string;
  headers: Record<string, string>;
  enabled: boolean;
}

export interface Webhook extends WebhookForm {
  id: string;
  /** Why it was switched off, when nobody asked for that. */
  disabledReason: string;
  failingSince: string;
  oldSecretExpires: string;
  created: string;
  updated: string;
}

/** As it is answered when the secret is new. */
export type WithSecret = Webhook & { secret: string };

export interface Delivery {
  id: string;
  webhook: string;
  /** The `webhook-id` that the receiver sees. */
  event: string;
  type: string;
  state: DeliveryState;
  attempts: number;
  /** Of the last answer; 0 when there was none. */
  status: number;
  error: string;
  /** Milliseconds. */
  duration: number;
  request: string;
  next: string;
  tried: string;
  created: string;
  /** Only of one that is looked at alone. */
  body?: string;
  response?: string;
}

const WEBHOOKS_MAX = 500;
const one = (id: string): string => path`/api/webhooks/${id}`;

export const all = async (signal?: AbortSignal): Promise<Webhook[]> =>
  (await get<Page<Webhook>>('/api/webhooks', { perPage: WEBHOOKS_MAX, skipTotal: true }, signal)).items;
export const view = (id: string, signal?: AbortSignal): Promise<Webhook> => get(one(id), {}, signal);
export const create = (form: WebhookForm & { secret?: string }): Promise<WithSecret> => post('/api/webhooks', form);
export const change = (id: string, form: Partial<WebhookForm>): Promise<Webhook> => patch(one(id), form);
export const remove = (id: string): Promise<void> => del(one(id));

export const secrets = async (id: string): Promise<{ secret: string; expires: string }[]> =>
  (await get<{ secrets: { secret: string; expires: string }[] }>(`${one(id)}/secret`)).secrets;
export const rotate = (id: string, form: { overlapHours: number; secret?: string }): Promise<WithSecret> => post(`${one(id)}/rotate-secret`, form);
/** Sends a trial, and tells what came of it. */
export const test = (id: string): Promise<Delivery> => post(`${one(id)}/test`);

const filterOf = (state: string): string => (state ? `state = ${JSON.stringify(state)}` : '');
export const deliveries = (id: string, state: string, page: number, perPage: number, signal?: AbortSignal): Promise<Page<Delivery>> =>
  get(`${one(id)}/deliveries`, { filter: filterOf(state), page, perPage }, signal);
export const delivery = (id: string, delivery: string, signal?: AbortSignal): Promise<Delivery> =>
  get(one(id) + path`/deliveries/${delivery}`, {}, signal);
export const redeliver = (id: string, delivery: string): Promise<Delivery> => post(`${one(id)}${path`/deliveries/${delivery}/redeliver`}`);
/** All that were given up and are about what happened since then. */
export const redeliverFailed = async (id: string, since: string): Promise<number> =>
  (await post<{ count: number }>(`${one(id)}/redeliver`, { since })).count;
