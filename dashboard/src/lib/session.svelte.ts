/** Who is signed in. The token lives in memory and in local storage, so that tabs share it. */
import * as auth from '../api/auth';
import { watch } from '../api/client';
import { failure } from '../api/failure';

const KEY = 'pando.session';
/** A token with less than this part of its life left is exchanged for a new one. */
const REFRESH_PART = 0.5;
const CHECK_MS = 60_000;

function stored(): auth.Session | null {
  try {
    const session = JSON.parse(localStorage.getItem(KEY) ?? 'null') as auth.Session | null;
    return session && typeof session.token === 'string' && ends(session.token) > Date.now() ? session : null;
  } catch {
    return null;
  }
}

/** What a token says of itself; nobody has vouched for it here. */
export function claims(token: string): Record<string, unknown> {
  try {
    const [, payload = ''] = token.split('.');
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function ends(token: string): number {
  return Number(claims(token).exp ?? 0) * 1000;
}

class SessionState {
  current = $state<auth.Session | null>(stored());
  /** When the token was got, as far as this tab knows. */
  private since = Date.now();

  get token(): string {
    return this.current?.token ?? '';
  }

  enter(session: auth.Session): void {
    this.current = session;
    this.since = Date.now();
    localStorage.setItem(KEY, JSON.stringify(session));
  }

  leave(): void {
    this.current = null;
    localStorage.removeItem(KEY);
  }

  follow(): void {
    this.current = stored();
    this.since = Date.now();
  }

  async refresh(always = false): Promise<void> {
    if (!this.current) return;
    const [now, end] = [Date.now(), ends(this.token)];
    if (!always && (end - now) / Math.max(end - this.since, 1) > REFRESH_PART) return;
    try {
      this.enter(await auth.refresh());
    } catch (error) {
      // A server that is away for a moment signs nobody out.
      if (['signedOut', 'forbidden', 'missing'].includes(failure(error).kind)) this.leave();
    }
  }
}

export const session = new SessionState();

export function start(): void {
  watch({ token: () => session.token, signedOut: () => session.leave() });
  window.addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) session.follow();
  });
  void session.refresh(true);
  setInterval(() => void session.refresh(), CHECK_MS);
}
