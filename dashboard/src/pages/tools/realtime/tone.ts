import type { Seen } from './watch.svelte';

export type Tone = 'plain' | 'good' | 'info' | 'warn' | 'bad';
const TONES: Record<string, Tone> = { create: 'good', update: 'info', delete: 'bad', message: 'info' };

export const toneOf = (seen: Seen): Tone => (seen.note === 'lost' ? 'warn' : (TONES[seen.action] ?? 'plain'));
