/** The system as it is and as it was: see docs/system-api.md. */
import { del, get, path } from './client';

export const KINDS = ['edge', 'balancer', 'serve', 'web', 'worker', 'primary', 'replica', 'cache', 'queue', 'bus', 'files'] as const;
export type ElementKind = (typeof KINDS)[number];
export type State = 'up' | 'slow' | 'silent' | 'leaving' | 'down';
export type LinkKind = 'requests' | 'queries' | 'replication' | 'cache' | 'events' | 'jobs' | 'files';
export type Figures = Record<string, number>;

export interface Part {
  id: string;
  kind: ElementKind;
  name: string;
  address: string;
  version: string;
  zone: string;
  region: string;
  state: State;
  since: string;
  /** A code, or what a database said. */
  why: string;
  within: string | null;
  figures: Figures;
}

export interface Link {
  from: string;
  to: string;
  kind: LinkKind;
}

export interface Bottleneck {
  element: string;
  code: string;
  /** 1 at the bound; above it where work waits. */
  used: number;
  figures: Figures;
}

export interface Picture {
  at: string;
  by: string;
  elements: Part[];
  links: Link[];
  bottleneck: Bottleneck | null;
}

export interface SystemEvent {
  id: string;
  at: string;
  kind: string;
  element: string;
  detail: Record<string, unknown>;
}

export interface Node {
  key: string;
  element: string;
  name: string;
  role: string;
  at: string;
}

export interface Series {
  node: string;
  name: string;
  unit: string;
  points: (number | null)[];
}

export interface SeriesAnswer {
  from: number;
  step: number;
  count: number;
  series: Series[];
}

export const picture = (signal?: AbortSignal): Promise<Picture> => get<Picture>('/api/system', {}, signal);

export const nodes = async (signal?: AbortSignal): Promise<Node[]> =>
  (await get<{ items: Node[] }>('/api/system/nodes', {}, signal)).items;

export const events = async (query: { since?: string; limit?: number }, signal?: AbortSignal): Promise<SystemEvent[]> =>
  (await get<{ items: SystemEvent[] }>('/api/system/events', query, signal)).items;

export const series = (
  query: { names: string; nodes?: string; from: number; to?: number },
  signal?: AbortSignal,
): Promise<SeriesAnswer> => get<SeriesAnswer>('/api/system/series', query, signal);

/** Forgets a process that will not come back. */
export const forget = (key: string): Promise<void> => del(path`/api/system/nodes/${key}`);
