/** What came over the stream: the newest so many, shown in batches, held back while the page is paused. */
import { Connection, topicOf, type Subscription } from '../../../api/realtime';
import { explained } from '../../../ui/toast.svelte';

/** More are forgotten, the oldest first. */
export const KEPT_MAX = 1000;
/** A flood of events draws the list so often, and not once for each. */
const SHOW_MS = 120;

export type Note = 'connected' | 'lost';

export interface Seen {
  id: string;
  at: number;
  topic: string;
  /** Of an event; empty for a note on the connection. */
  action: string;
  note: Note | null;
  what: string;
  data: unknown;
  text: string;
  /** What is new in it, on one line. */
  line: string;
}

/** A record without what stands in a column of its own. */
function told({ id: _, collectionId: __, collectionName: ___, ...rest }: Record<string, unknown>): unknown {
  return rest;
}

export class Watch {
  shown = $state.raw<Seen[]>([]);
  state = $state<'connecting' | 'connected' | 'lost'>('connecting');
  /** How often the connection was lost. */
  losses = $state(0);
  paused = $state(false);
  /** Held back while paused. */
  held = $state(0);
  problem = $state('');
  private count = 0;
  private fresh: Seen[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private topics = new Map<string, string>();
  private connection: Connection;

  constructor() {
    this.connection = new Connection({
      connected: () => {
        this.note('connected');
        this.state = 'connected';
      },
      lost: () => {
        this.losses++;
        this.state = 'lost';
        this.note('lost');
      },
      told: (topic, data) => this.take(this.topics.get(topic) ?? topic, data),
      refused: (error) => (this.problem = explained(error)),
    });
  }

  subscribe(all: Subscription[]): void {
    this.problem = '';
    this.topics = new Map(all.map((one) => [topicOf(one), one.topic]));
    this.connection.set([...this.topics.keys()]);
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.show();
  }

  clear(): void {
    this.fresh = [];
    this.held = 0;
    this.shown = [];
  }

  close(): void {
    clearTimeout(this.timer);
    this.connection.close();
  }

  private note(note: Note): void {
    this.add({ id: '', at: Date.now(), topic: '', action: '', note, what: '', data: null, text: '', line: '' });
  }

  private take(topic: string, text: string): void {
    let data: unknown = text;
    try {
      data = JSON.parse(text);
    } catch {
      // What is no JSON is shown as it is.
    }
    const { action, record, message } = (data ?? {}) as Record<string, Record<string, unknown> & string>;
    const named = record ? [record.collectionName, record.id] : [message?.subject];
    const line = JSON.stringify(record ? told(record) : (message?.data ?? data)) ?? '';
    this.add({ id: '', at: Date.now(), topic, action: String(action ?? ''), note: null, what: named.filter(Boolean).join(' / '), data, text, line });
  }

  private add(seen: Seen): void {
    this.fresh.push({ ...seen, id: String(++this.count) });
    if (this.fresh.length > KEPT_MAX) this.fresh.splice(0, this.fresh.length - KEPT_MAX);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.show();
    }, SHOW_MS);
  }

  private show(): void {
    if (this.paused) {
      this.held = this.fresh.length;
      return;
    }
    if (this.fresh.length) this.shown = [...this.fresh.reverse(), ...this.shown].slice(0, KEPT_MAX);
    this.fresh = [];
    this.held = 0;
  }
}
