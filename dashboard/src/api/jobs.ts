/** The server's own background work. */
import { del, get, path, post } from './client';
import type { Page } from './types';

export const STATES = ['waiting', 'running', 'delayed', 'dead'] as const;
export type JobState = (typeof STATES)[number];

export interface Job {
  id: string;
  /** That it came from, if it was given up. */
  queue: string;
  state: JobState;
  priority: number;
  attempts: number;
  /** When it is to be done, when its lease ends, or when it was given up. */
  due: string;
  created: string;
  error: string;
  payload: unknown;
}

export interface QueueStanding {
  name: string;
  waiting: number;
  delayed: number;
  running: number;
  dead: number;
  oldestMs: number;
}

export interface Chosen {
  queue: string;
  state: string;
}

export const queues = async (signal?: AbortSignal): Promise<QueueStanding[]> =>
  (await get<{ items: QueueStanding[] }>('/api/jobs/queues', {}, signal)).items;

export const page = async (chosen: Chosen, page: number, perPage: number, signal?: AbortSignal): Promise<Job[]> =>
  (await get<Page<Job>>('/api/jobs', { ...chosen, page, perPage, skipTotal: true }, signal)).items;
export const count = async (chosen: Chosen, signal?: AbortSignal): Promise<number> =>
  (await get<Page<Job>>('/api/jobs', { ...chosen, page: 1, perPage: 1, fields: 'id' }, signal)).totalItems;

export const retry = (id: string): Promise<void> => post(path`/api/jobs/${id}/retry`);
export const retryDead = async (queue: string): Promise<number> =>
  (await post<{ retried: number }>('/api/jobs/retry-dead', undefined, { query: { queue } })).retried;
export const remove = (id: string): Promise<void> => del(path`/api/jobs/${id}`);
