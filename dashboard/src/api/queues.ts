/** The application's own queues: streams, their consumer groups, messages and dead letters. See docs/queues.md. */
import { del, get, patch, path, post } from './client';

export interface GroupForm {
  name: string;
  /** The pattern of the subjects that it is for. */
  filter: string;
  leaseMs: number;
  maxDeliveries: number;
  retryMs: number;
}

export interface Group extends GroupForm {
  id: string;
}

export interface StreamForm {
  name: string;
  subjects: string[];
  /** Null for superusers only, empty for everybody. */
  publishRule: string | null;
  consumeRule: string | null;
  maxAgeMs: number;
  maxMessages: number;
  maxBytes: number;
}

export interface Stream extends StreamForm {
  id: string;
  groups: Group[];
  created: string;
  updated: string;
}

export interface GroupStats {
  name: string;
  waiting: number;
  inFlight: number;
  dead: number;
  oldestMs: number;
}

export interface Stats {
  messages: number;
  firstSeq: number;
  lastSeq: number;
  groups: GroupStats[];
}

export interface Message {
  id: string;
  subject: string;
  data: unknown;
  headers: Record<string, string>;
  time: string;
  seq?: number;
}

export interface Letter extends Message {
  deliveries: number;
  died: string;
}

export interface Publishing {
  subject: string;
  data: unknown;
  headers?: Record<string, string>;
  id?: string;
  delayMs?: number;
  priority?: 'high' | 'normal' | 'low';
}

/** Dead letters in one answer. */
export const LETTERS_MAX = 500;

export const all = (signal?: AbortSignal): Promise<Stream[]> => get('/api/queues', {}, signal);
export const view = (stream: string, signal?: AbortSignal): Promise<Stream> => get(path`/api/queues/${stream}`, {}, signal);
export const stats = (stream: string, signal?: AbortSignal): Promise<Stats> => get(path`/api/queues/${stream}/stats`, {}, signal);
export const create = (form: StreamForm): Promise<Stream> => post('/api/queues', form);
export const change = (stream: string, form: Partial<StreamForm>): Promise<Stream> => patch(path`/api/queues/${stream}`, form);
export const remove = (stream: string): Promise<void> => del(path`/api/queues/${stream}`);

export const createGroup = (stream: string, form: GroupForm): Promise<Group> => post(path`/api/queues/${stream}/groups`, form);
export const changeGroup = (stream: string, group: string, form: Partial<GroupForm>): Promise<Group> =>
  patch(path`/api/queues/${stream}/groups/${group}`, form);
export const removeGroup = (stream: string, group: string): Promise<void> => del(path`/api/queues/${stream}/groups/${group}`);

export const publish = (stream: string, message: Publishing): Promise<{ id: string; duplicate: boolean }> =>
  post(path`/api/queues/${stream}/publish`, message);
/** Without a position of a subscriber: nobody else notices. */
export const read = async (stream: string, from: number, max: number, signal?: AbortSignal): Promise<Message[]> =>
  (await get<{ messages: Message[] }>(path`/api/queues/${stream}/read`, { from, max }, signal)).messages;

export const dead = (stream: string, group: string, offset: number, signal?: AbortSignal): Promise<Letter[]> =>
  get(path`/api/queues/${stream}/groups/${group}/dead`, { offset, max: LETTERS_MAX }, signal);
export const retryDead = async (stream: string, group: string, ids: string[] | 'all'): Promise<number> =>
  (await post<{ retried: number }>(path`/api/queues/${stream}/groups/${group}/dead/retry`, { ids })).retried;
export const dropDead = async (stream: string, group: string, ids: string[] | 'all'): Promise<number> =>
  (await post<{ dropped: number }>(path`/api/queues/${stream}/groups/${group}/dead/drop`, { ids })).dropped;
