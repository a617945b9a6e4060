/** Schedules as the server reads them: five segments, or a macro, in UTC. */
const MACROS: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;
const MINUTE_MS = 60_000;
/** A day that both a month and a weekday ask for comes again within these. */
const DAYS_MAX = 366 * 29;

type Values = Set<number>;

function segment(text: string, min: number, max: number): Values | null {
  const values: Values = new Set();
  for (const part of text.split(',')) {
    const found = /^(?:(\*)|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!found) return null;
    const [, all, from, to, by] = found;
    const step = Number(by ?? 1);
    const first = all ? min : Number(from);
    const last = all ? max : Number(to ?? from);
    if (step < 1 || step > max || first < min || last > max || first > last) return null;
    if (step > 1 && !all && to === undefined) return null;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return values;
}

/** Null where it is no schedule. */
export function parsed(text: string): Values[] | null {
  const segments = (MACROS[text] ?? text).split(' ');
  if (segments.length !== BOUNDS.length) return null;
  const all = BOUNDS.map(([min, max], i) => segment(segments[i] ?? '', min, max));
  return all.every((one) => one !== null) ? all : null;
}

/** The next minute that the schedule names; null if there is none. */
export function next(text: string, after: Date): Date | null {
  const [minutes, hours, days, months, weekdays] = parsed(text) ?? [];
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  const at = new Date(Math.floor(after.getTime() / MINUTE_MS) * MINUTE_MS + MINUTE_MS);
  for (let day = 0; day <= DAYS_MAX; day++) {
    if (months.has(at.getUTCMonth() + 1) && days.has(at.getUTCDate()) && weekdays.has(at.getUTCDay())) {
      for (; ; at.setTime(at.getTime() + MINUTE_MS)) {
        if (hours.has(at.getUTCHours()) && minutes.has(at.getUTCMinutes())) return at;
        if (at.getUTCHours() === 23 && at.getUTCMinutes() === 59) break;
      }
    }
    at.setUTCHours(24, 0, 0, 0);
  }
  return null;
}
