/** How many entries there were over time: by hours as the server counts them, and in a short span by the entries' own times. */
import * as api from '../../api/insight';
import { moment, stamp } from './filter';

const HOUR_MS = 3_600_000;
const BARS_MAX = 96;
const BARS_MIN = 48;
/** Below this span, hours would be too coarse. */
const FINE_MS = 12 * HOUR_MS;
const PAGE = 1000;
/** Of more entries than these, hours are shown. */
const FINE_PAGES_MAX = 4;

export interface Bars {
  from: number;
  /** Milliseconds of one bar. */
  step: number;
  counts: number[];
}

function gathered(times: [number, number][], from: number, to: number, step: number): Bars {
  const counts = new Array<number>(Math.max(1, Math.ceil((to - from) / step))).fill(0);
  for (const [at, n] of times) {
    const i = Math.floor((at - from) / step);
    if (i >= 0 && i < counts.length) counts[i] = (counts[i] ?? 0) + n;
  }
  return { from, step, counts };
}

/** Without a `from`, it begins with the first entry. */
async function fine(filter: string, from: number | null, to: number, signal: AbortSignal): Promise<Bars | null> {
  const times: [number, number][] = [];
  for (let page = 1; page <= FINE_PAGES_MAX; page++) {
    const got = await api.logs({ filter, page, perPage: PAGE, fields: 'created' }, signal);
    times.push(...got.map(({ created }): [number, number] => [moment(created), 1]));
    if (got.length < PAGE) {
      const begin = from ?? Math.min(to - BARS_MIN * 1000, ...times.map(([at]) => at));
      return gathered(times, begin, to, Math.max(1000, (to - begin) / BARS_MIN));
    }
  }
  return null;
}

/** `zoom` is the span that was chosen; without it, it is that of all entries. */
export async function bars(filter: string, zoom: { from: number; to: number } | null, signal: AbortSignal): Promise<Bars> {
  const hours = await api.logHours(filter, signal);
  const times = hours.map(({ date, total }): [number, number] => [moment(date), total]);
  const first = Math.min(...times.map(([at]) => at));
  const now = Date.now();
  const [from, to] = zoom ? [zoom.from, zoom.to] : [times.length ? first : now - HOUR_MS, now];
  if (to - from < FINE_MS) {
    const span = zoom ? filter : [filter && `(${filter})`, `created <= "${stamp(to)}"`].filter(Boolean).join(' && ');
    const found = await fine(span, zoom ? from : null, to, signal);
    if (found) return found;
  }
  const step = Math.max(1, Math.ceil((to - from) / HOUR_MS / BARS_MAX)) * HOUR_MS;
  const begin = Math.floor(from / HOUR_MS) * HOUR_MS;
  return gathered(times, begin, Math.max(to, begin + step), step);
}
