/** The stream of events, as a browser reads it: connected again when it breaks, and subscribed again then. */
import { address, post } from './client';
import { isAborted } from './failure';

export interface Subscription {
  /** `posts/*`, `posts/ID`, `queues/STREAM/PATTERN`. */
  topic: string;
  filter?: string;
  fields?: string;
  expand?: string;
}

/** As the server is told it, and as it names the topic's events. */
export function topicOf({ topic, filter, fields, expand }: Subscription): string {
  const query = Object.fromEntries(Object.entries({ filter, fields, expand }).filter(([, value]) => value));
  return Object.keys(query).length ? `${topic}?options=${encodeURIComponent(JSON.stringify({ query }))}` : topic;
}

export interface Listener {
  connected: () => void;
  /** The connection broke; it is being made again. */
  lost: () => void;
  told: (topic: string, data: string) => void;
  /** The topics were refused. */
  refused: (error: unknown) => void;
}

const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 15_000;

export class Connection {
  private source: EventSource | null = null;
  private client = '';
  private topics: string[] = [];
  private heard = new Set<string>();
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private telling: AbortController | null = null;

  constructor(private listener: Listener) {
    this.open();
  }

  /** Subscribes to these topics and to no others. */
  set(topics: string[]): void {
    this.topics = topics;
    this.listen();
    if (this.client) void this.tell();
  }

  close(): void {
    clearTimeout(this.timer);
    this.telling?.abort();
    this.source?.close();
    this.source = null;
  }

  private open(): void {
    const source = new EventSource(address('/api/realtime'));
    this.source = source;
    this.heard.clear();
    source.addEventListener('PB_CONNECT', (event: MessageEvent<string>) => {
      this.client = clientOf(event);
      this.tries = 0;
      this.listener.connected();
      void this.tell();
    });
    source.onerror = () => {
      if (this.client) this.listener.lost();
      this.client = '';
      // The browser tries again by itself, unless it was refused.
      if (source.readyState === EventSource.CLOSED) this.again();
    };
    this.listen();
  }

  private again(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.timer = setTimeout(() => this.open(), Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** this.tries++));
  }

  private listen(): void {
    for (const topic of this.topics) {
      if (this.heard.has(topic)) continue;
      this.heard.add(topic);
      this.source?.addEventListener(topic, (event: MessageEvent<string>) => {
        if (this.topics.includes(topic)) this.listener.told(topic, event.data);
      });
    }
  }

  private async tell(): Promise<void> {
    this.telling?.abort();
    const telling = (this.telling = new AbortController());
    try {
      await post('/api/realtime', { clientId: this.client, subscriptions: this.topics }, { signal: telling.signal });
    } catch (error) {
      if (!isAborted(error)) this.listener.refused(error);
    }
  }
}

function clientOf(event: MessageEvent<string>): string {
  try {
    return (JSON.parse(event.data) as { clientId?: string }).clientId ?? event.lastEventId;
  } catch {
    return event.lastEventId;
  }
}
